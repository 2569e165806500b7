/*
** A growable byte buffer with an upper bound.
**
** Holds what arrives from the network or what is written for it. Every buffer has a limit that is
** given when it is made, so that no remote party decides how much memory is taken. A failed append
** frees the contents at once: the owner is about to fail anyway.
** Knows neither Lua nor curl.
*/
#ifndef QHUB_BUFFER_H
#define QHUB_BUFFER_H

#include <stddef.h>

typedef enum {
  QHUB_BUFFER_OK = 0,
  QHUB_BUFFER_FULL, /* the append would have passed the limit */
  QHUB_BUFFER_NO_MEMORY
} qhub_buffer_result;

typedef struct {
  char *data; /* owned; NULL while capacity is 0; not NUL-terminated */
  size_t length;
  size_t capacity;
  size_t limit; /* `length` never passes it */
  size_t start; /* of a queue: where its first byte is; the last ones may be wrapped */
} qhub_buffer;

/* An empty buffer; acquires nothing. */
void qhub_buffer_init(qhub_buffer *buffer, size_t limit);

/* Frees the contents; the buffer stays usable (empty, same limit). Idempotent. */
void qhub_buffer_free(qhub_buffer *buffer);

/* Appends `length` bytes. On failure the contents are freed (see the head of the file). */
qhub_buffer_result qhub_buffer_append(qhub_buffer *buffer, const void *bytes, size_t length);

/* Makes room for `extra` more bytes and sets `*room` to where they go; the caller writes there and
** then adds what it wrote to `length`. On failure the contents are freed and `*room` is NULL. */
qhub_buffer_result qhub_buffer_reserve(qhub_buffer *buffer, size_t extra, char **room);

/* ---- as a queue: nothing is ever moved to make room for what comes ---- */

/* Adds `length` bytes at the end. On failure the contents are freed. */
qhub_buffer_result qhub_buffer_push(qhub_buffer *buffer, const char *bytes, size_t length);

/* The first bytes, as many as lie together: some if there are any. */
const char *qhub_buffer_peek(const qhub_buffer *buffer, size_t *length);

/* Removes the first `length` bytes, at most as many as lie together. */
void qhub_buffer_shift(qhub_buffer *buffer, size_t length);

#endif
