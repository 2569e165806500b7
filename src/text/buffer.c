/* A growable byte buffer with an upper bound: see buffer.h. */
#include "buffer.h"

#include <stdlib.h>
#include <string.h>

enum { SMALLEST_CAPACITY = 256 };

void qhub_buffer_init(qhub_buffer *buffer, size_t limit) {
  *buffer = (qhub_buffer){.limit = limit};
}

void qhub_buffer_free(qhub_buffer *buffer) {
  free(buffer->data);
  qhub_buffer_init(buffer, buffer->limit);
}

/* Doubling keeps appends linear in total; the limit caps the last step, so that a full buffer
** never holds more than it may. */
static size_t grown_capacity(const qhub_buffer *buffer, size_t needed) {
  size_t capacity = buffer->capacity > 0 ? buffer->capacity : SMALLEST_CAPACITY;
  while (capacity < needed) {
    if (capacity > buffer->limit / 2) return buffer->limit;
    capacity *= 2;
  }
  return capacity < buffer->limit ? capacity : buffer->limit;
}

qhub_buffer_result qhub_buffer_reserve(qhub_buffer *buffer, size_t extra, char **room) {
  *room = NULL;
  if (extra > buffer->limit - buffer->length) {
    qhub_buffer_free(buffer);
    return QHUB_BUFFER_FULL;
  }
  size_t needed = buffer->length + extra;
  if (needed > buffer->capacity || buffer->data == NULL) {
    size_t capacity = grown_capacity(buffer, needed);
    char *data = realloc(buffer->data, capacity > 0 ? capacity : 1);
    if (data == NULL) {
      qhub_buffer_free(buffer);
      return QHUB_BUFFER_NO_MEMORY;
    }
    buffer->data = data;
    buffer->capacity = capacity;
  }
  *room = buffer->data + buffer->length;
  return QHUB_BUFFER_OK;
}

qhub_buffer_result qhub_buffer_append(qhub_buffer *buffer, const void *bytes, size_t length) {
  char *room;
  if (length == 0) return QHUB_BUFFER_OK;
  qhub_buffer_result result = qhub_buffer_reserve(buffer, length, &room);
  if (result == QHUB_BUFFER_OK) {
    memcpy(room, bytes, length);
    buffer->length += length;
  }
  return result;
}

qhub_buffer_result qhub_buffer_push(qhub_buffer *buffer, const char *bytes, size_t length) {
  char *room;
  size_t known = buffer->capacity;
  size_t end = buffer->start + buffer->length;
  size_t wrapped = end > known ? end - known : 0;
  qhub_buffer_result result = qhub_buffer_reserve(buffer, length, &room);
  if (result != QHUB_BUFFER_OK) return result;
  size_t grown = buffer->capacity - known;
  size_t unwrapped = grown < wrapped ? grown : wrapped;
  if (unwrapped > 0) {
    memcpy(buffer->data + known, buffer->data, unwrapped);
    memmove(buffer->data, buffer->data + unwrapped, wrapped - unwrapped);
  }
  if (end >= buffer->capacity) end -= buffer->capacity;
  size_t fitting = buffer->capacity - end;
  if (fitting > length) fitting = length;
  memcpy(buffer->data + end, bytes, fitting);
  memcpy(buffer->data, bytes + fitting, length - fitting);
  buffer->length += length;
  return QHUB_BUFFER_OK;
}

const char *qhub_buffer_peek(const qhub_buffer *buffer, size_t *length) {
  size_t unwrapped = buffer->capacity - buffer->start;
  *length = buffer->length < unwrapped ? buffer->length : unwrapped;
  return *length > 0 ? buffer->data + buffer->start : "";
}

void qhub_buffer_shift(qhub_buffer *buffer, size_t length) {
  buffer->length -= length;
  buffer->start += length;
  if (buffer->start >= buffer->capacity || buffer->length == 0) buffer->start = 0;
}
