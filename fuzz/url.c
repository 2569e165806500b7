/*
** Feeds texts to the URL functions, and checks what must hold for every result.
** Input: a base and a reference, separated by the first line feed; without one, only a base.
*/
#include "text/url.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
  if (!holds) abort();
}

/* libcurl reads an accepted text as we do: a transfer connects to the host and port that were
** checked, and asks for the path. */
static void compare(const char *text, const qhub_url *url) {
  CURLU *handle = curl_url();
  require(handle != NULL);
  require(curl_url_set(handle, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME | CURLU_PATH_AS_IS) ==
          CURLUE_OK);
  char *part;
  require(curl_url_get(handle, CURLUPART_HOST, &part, 0) == CURLUE_OK);
  require(strcasecmp(part, url->host) == 0);
  curl_free(part);
  if (curl_url_get(handle, CURLUPART_PORT, &part, CURLU_DEFAULT_PORT) == CURLUE_OK) {
    require(strtoul(part, NULL, 10) == url->port);
    curl_free(part);
  } else {
    require(url->port == 0);
  }
  const char *authority = strstr(text, "://") + 3;
  const char *path = authority + strcspn(authority, "/?#");
  if (curl_url_get(handle, CURLUPART_USER, &part, 0) == CURLUE_OK) {
    require(memchr(authority, '@', (size_t)(path - authority)) != NULL);
    curl_free(part);
  }
  require(curl_url_get(handle, CURLUPART_ZONEID, &part, 0) != CURLUE_OK);
  require(curl_url_get(handle, CURLUPART_PATH, &part, 0) == CURLUE_OK);
  size_t length = strcspn(path, "?#");
  if (length == 0) {
    require(strcmp(part, "/") == 0);
  } else {
    require(strlen(part) == length);
    require(strncasecmp(part, path, length) == 0); /* %2f becomes %2F */
  }
  curl_free(part);
  curl_url_cleanup(handle);
}

static bool parse(const char *text, size_t length, qhub_url *url) {
  const char *reason = qhub_url_parse(text, length, url);
  if (reason != NULL) {
    require(reason[0] != '\0');
    return false;
  }
  require(url->scheme[0] != '\0' && url->host[0] != '\0' && url->port <= 65535);
  for (size_t i = 0; i < length; i++) {
    require((unsigned char)text[i] > 0x20 && (unsigned char)text[i] < 0x7f && text[i] != '\\');
  }
  compare(text, url);
  return true;
}

/* What a reference resolves to can be parsed and has no fragment. The memory is exactly as large as
** promised. */
static void check_resolved(const char *base, size_t base_length, const char *reference,
                           size_t length) {
  size_t bound = qhub_url_resolve_bound(base_length, length);
  size_t got;
  qhub_url url;
  char *out = malloc(bound);
  require(out != NULL);
  if (qhub_url_resolve(base, base_length, reference, length, out, &got) == NULL) {
    require(got < bound && out[got] == '\0');
    require(parse(out, got, &url) && strchr(out, '#') == NULL);
  }
  free(out);
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

/* A copy with a NUL, in memory of its own: a sanitizer sees the first byte read beyond it. */
static char *copy_of(const uint8_t *bytes, size_t length) {
  char *copy = malloc(length + 1);
  require(copy != NULL);
  if (length > 0) memcpy(copy, bytes, length);
  copy[length] = '\0';
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
