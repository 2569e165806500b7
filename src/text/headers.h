/*
** The header block of the final response, gathered line by line as it arrives.
**
** Interim blocks (1xx) are dropped when the next status line comes; anything after the final
** block (trailers) is ignored. Names are in lower case when they are read. The whole block is
** bounded, in bytes and in fields. Assumes that lines come one per call, as an HTTP library hands
** them over. Knows neither Lua nor curl.
*/
#ifndef QHUB_HEADERS_H
#define QHUB_HEADERS_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"

typedef enum {
  QHUB_HEADERS_MORE = 0,  /* taken (or ignored); the block continues */
  QHUB_HEADERS_COMPLETE,  /* this line ended the block of the final response */
  QHUB_HEADERS_MALFORMED, /* no status line or no field, or no telling where the body ends */
  QHUB_HEADERS_TOO_LARGE,
  QHUB_HEADERS_NO_MEMORY
} qhub_headers_result;

typedef struct {
  qhub_buffer text;  /* "name NUL value NUL" for each field, in order of arrival */
  size_t count;      /* of fields */
  size_t seen;       /* bytes of all lines so far */
  int64_t announced; /* Content-Length; -1: none */
  int status;        /* 0 until a status line came */
  int version;       /* 10, 11, 20, 30; 0 until a status line came */
  bool complete;     /* the final block is all there */
} qhub_headers;

/* No headers yet; acquires nothing. */
void qhub_headers_init(qhub_headers *headers, size_t limit);

/* Frees the fields; status and version stay readable. Idempotent. */
void qhub_headers_free(qhub_headers *headers);

/* Takes one line, with or without its line end. After TOO_LARGE the fields are those that fitted,
** after other failures they are gone. */
qhub_headers_result qhub_headers_add(qhub_headers *headers, const char *line, size_t length);

/* Walks the fields: `*cursor` starts at 0; false at the end. Name and value are NUL-terminated and
** live until the next change. */
bool qhub_headers_next(const qhub_headers *headers, size_t *cursor, const char **name,
                       const char **value);

#endif
