/*
** Feeds header lines to the gatherer of response headers, and checks what must hold of what it
** keeps. Input: two bytes of the limit (little-endian, times eight), then lines split at LF, as
** the HTTP library hands them over one by one.
*/
#include "text/headers.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT_SIZE = 2, LIMIT_UNIT = 8 };

static void require(bool holds) {
  if (!holds) abort();
}

/* Names are in lower case, values lie within their text; the count agrees with the walk. */
static void check_fields(const qhub_headers *headers) {
  size_t cursor = 0, count = 0;
  const char *name, *value;
  while (qhub_headers_next(headers, &cursor, &name, &value)) {
    for (const char *at = name; *at != '\0'; at++) require(!isupper((unsigned char)*at));
    require(strchr(value, '\n') == NULL);
    require(value + strlen(value) < headers->text.data + headers->text.length);
    count++;
  }
  require(count == headers->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < LIMIT_SIZE) return 0;
  size_t limit = (data[0] | (size_t)data[1] << 8) * LIMIT_UNIT;
  const char *line = (const char *)data + LIMIT_SIZE;
  const char *end = (const char *)data + size;
  qhub_headers headers;
  qhub_headers_init(&headers, limit);
  bool was_complete = false;
  while (line < end) {
    const char *stop = memchr(line, '\n', (size_t)(end - line));
    size_t length = stop != NULL ? (size_t)(stop - line) + 1 : (size_t)(end - line);
    /* A copy of just that size, so that reading past the line is noticed. */
    char *copy = malloc(length);
    require(copy != NULL);
    memcpy(copy, line, length);
    qhub_headers_result result = qhub_headers_add(&headers, copy, length);
    free(copy);
    require(headers.text.length <= limit);
    require(headers.status == 0 || (headers.status >= 100 && headers.status <= 999));
    check_fields(&headers);
    if (result == QHUB_HEADERS_COMPLETE) {
      require(headers.complete && !was_complete && headers.status >= 200);
      was_complete = true;
    } else if (result != QHUB_HEADERS_MORE) {
      break; /* as the transfer does, which is then stopped */
    }
    line += length;
  }
  qhub_headers_free(&headers);
  return 0;
}
