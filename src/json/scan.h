/*
** A strict scanner of JSON texts (RFC 8259): each call yields the next token. It builds nothing and
** allocates nothing. Stricter than the RFC asks in four points: nesting and the number of values
** are limited, numbers beyond a double are refused, and so are lone surrogates.
**
** Assumes that text[length] may be read and is NUL, as Lua's strings have it. Knows no Lua.
*/
#ifndef QHUB_JSON_SCAN_H
#define QHUB_JSON_SCAN_H

#include "../text/number.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  QHUB_JSON_MAX_DEPTH = 1000,
  /* So that a hostile text does not take gigabytes as a tree: 64 MiB of ordinary JSON have fewer.
  ** An array or object takes as much memory as several numbers, and counts as that many. */
  QHUB_JSON_MAX_VALUES = 16 * 1024 * 1024,
  QHUB_JSON_CONTAINER_WEIGHT = 4
};

typedef enum {
  QHUB_JSON_ERROR, /* see `problem` */
  QHUB_JSON_END,   /* the whole text was one valid value */
  QHUB_JSON_OPEN_ARRAY,
  QHUB_JSON_OPEN_OBJECT,
  QHUB_JSON_CLOSE,  /* of the innermost container */
  QHUB_JSON_NAME,   /* of a member, and its colon: see `start`, `stop`, `escaped` */
  QHUB_JSON_STRING, /* likewise */
  QHUB_JSON_NUMBER, /* see `number` */
  QHUB_JSON_TRUE,
  QHUB_JSON_FALSE,
  QHUB_JSON_NULL
} qhub_json_token;

typedef struct {
  const char *text;
  const char *end;
  const char *position; /* after the token; after an error, where it is */
  const char *start;    /* of a string or name, inside its quotes */
  const char *stop;
  bool escaped; /* it has an escape: see qhub_json_unescape */
  qhub_number number;
  bool accept_nan; /* set by the owner: NaN, Infinity and -Infinity are numbers, too */
  bool unexpected; /* `problem` says what was expected instead of what is there */
  const char *problem;
  int next;                                       /* private: what the grammar wants next */
  int depth;                                      /* open containers */
  int values_left;                                /* private: of QHUB_JSON_MAX_VALUES */
  uint64_t objects[QHUB_JSON_MAX_DEPTH / 64 + 1]; /* private: a bit for each open container */
} qhub_json_scanner;

/* Starts at the first byte. */
void qhub_json_begin(qhub_json_scanner *scanner, const char *text, size_t length, bool accept_nan);

/* The next token. Not to be called again after QHUB_JSON_END and QHUB_JSON_ERROR. */
qhub_json_token qhub_json_next(qhub_json_scanner *scanner);

/* Line and column of the scanner's position, from 1. Lines end with LF; columns count characters,
** not bytes. */
void qhub_json_where(const qhub_json_scanner *scanner, size_t *line, size_t *column);

/* Writes what the inside of a valid string, from `start` to `stop`, stands for, as UTF-8. `out` has
** room for stop - start bytes: no character is longer than its escape. Returns how many were
** written. */
size_t qhub_json_unescape(const char *start, const char *stop, char *out);

#endif
