/*
** Feeds texts to the URL functions, and checks what must hold for every answer.
** Input: a base and a reference, separated by the first line feed; without one, only a base.
*/
#include "text/url.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
  if (!holds) abort();
}

/* A span is absent, or lies inside the text. */
static void check_span(qhub_span span, const char *text, size_t length) {
  if (span.text == NULL) return;
  require(span.text >= text && span.text <= text + length);
  require(span.length <= length - (size_t)(span.text - text));
}

static bool parse(const char *text, size_t length, qhub_url *url) {
  const char *reason = qhub_url_parse(text, length, url);
  if (reason != NULL) {
    require(reason[0] != '\0');
    return false;
  }
  const qhub_span spans[] = {url->scheme, url->authority, url->userinfo, url->host,
                             url->path,   url->query,     url->fragment};
  for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) check_span(spans[i], text, length);
  require(url->scheme.length > 0 && url->host.length > 0 && url->port <= 65535);
  require(url->path.length == 0 || url->path.text[0] == '/');
  for (size_t i = 0; i < length; i++) {
    require((unsigned char)text[i] > 0x20 && (unsigned char)text[i] < 0x7f && text[i] != '\\');
  }
  return true;
}

/* Resolves into memory of exactly the promised size. Returns NULL when it is refused. */
static char *resolve(const char *base, size_t base_length, const char *reference, size_t length,
                     size_t *result_length) {
  size_t bound = qhub_url_resolve_bound(base_length, length);
  char *out = malloc(bound);
  require(out != NULL);
  if (qhub_url_resolve(base, base_length, reference, length, out, result_length) != NULL) {
    free(out);
    return NULL;
  }
  require(*result_length <= bound);
  return out;
}

static bool has_dot_segment(qhub_span path) {
  size_t start = 1; /* past the first slash */
  for (size_t i = 1; i <= path.length; i++) {
    if (i < path.length && path.text[i] != '/') continue;
    size_t length = i - start;
    if (length == 1 && path.text[start] == '.') return true;
    if (length == 2 && path.text[start] == '.' && path.text[start + 1] == '.') return true;
    start = i + 1;
  }
  return false;
}

/* What a reference resolves to is a URL itself (unless its scheme has none with an authority), has
** no dot segments, and resolves to itself. */
static void check_resolved(const char *base, size_t base_length, const char *reference,
                           size_t length) {
  size_t once_length;
  size_t twice_length;
  qhub_url url;
  char *once = resolve(base, base_length, reference, length, &once_length);
  if (once == NULL) return;
  const char *colon = memchr(once, ':', once_length);
  require(colon != NULL);
  size_t rest = once_length - (size_t)(colon - once);
  if (rest >= 3 && memcmp(colon, "://", 3) == 0 && once_length <= QHUB_URL_LONGEST) {
    require(parse(once, once_length, &url));
    if (length > 0 && reference[0] != '?' && reference[0] != '#') {
      require(!has_dot_segment(url.path));
      char *twice = resolve(base, base_length, once, once_length, &twice_length);
      require(twice != NULL && twice_length == once_length);
      require(memcmp(once, twice, once_length) == 0);
      free(twice);
    }
  }
  free(once);
}

static void check_encoding(const char *text, size_t length) {
  char *out = malloc(3 * length + 1);
  require(out != NULL);
  size_t encoded = qhub_url_encode_segment(text, length, out);
  require(encoded >= length && encoded <= 3 * length);
  for (size_t i = 0; i < encoded; i++) {
    require(out[i] != '/' && out[i] != '?' && out[i] != '#' && (unsigned char)out[i] > 0x20);
  }
  free(out);
}

/* A copy in memory of its own, so that a sanitizer sees the first byte read beyond it. */
static char *copy_of(const uint8_t *bytes, size_t length) {
  char *copy = malloc(length > 0 ? length : 1);
  require(copy != NULL);
  if (length > 0) memcpy(copy, bytes, length);
  return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const uint8_t *line = size > 0 ? memchr(data, '\n', size) : NULL;
  size_t base_length = line != NULL ? (size_t)(line - data) : size;
  size_t length = line != NULL ? size - base_length - 1 : 0;
  char *base = copy_of(data, base_length);
  char *reference = copy_of(line != NULL ? line + 1 : data, length);
  qhub_url url;
  if (parse(base, base_length, &url)) check_resolved(base, base_length, reference, length);
  check_encoding(base, base_length);
  free(base);
  free(reference);
  return 0;
}
