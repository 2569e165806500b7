/* The header block of a response: see headers.h. */
#include "headers.h"

#include "characters.h"

#include <string.h>

/* Joining the values of one name takes time by the square of their number. */
enum { MOST_FIELDS = 2000 };

void qhub_headers_init(qhub_headers *headers, size_t limit) {
  *headers = (qhub_headers){.announced = -1};
  qhub_buffer_init(&headers->text, limit);
}

void qhub_headers_free(qhub_headers *headers) {
  qhub_buffer_free(&headers->text);
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

/* "HTTP/1.1 200 OK", "HTTP/2 200" (RFC 9112, section 4). A new status line starts a new block. */
static qhub_headers_result begin_block(qhub_headers *headers, const char *line, size_t length) {
  size_t at = strlen("HTTP/");
  if (length <= at || !qhub_is_digit(line[at])) return QHUB_HEADERS_MALFORMED;
  int version = (line[at] - '0') * 10;
  at++;
  if (at + 1 < length && line[at] == '.' && qhub_is_digit(line[at + 1])) {
    version += line[at + 1] - '0';
    at += 2;
  }
  while (at < length && is_blank(line[at])) at++;
  int status = 0;
  for (size_t end = at + 3; at < end; at++) {
    if (at >= length || !qhub_is_digit(line[at])) return QHUB_HEADERS_MALFORMED;
    status = status * 10 + (line[at] - '0');
  }
  bool ends = at >= length || is_blank(line[at]) || line[at] == '\r' || line[at] == '\n';
  if (status < 100 || !ends) return QHUB_HEADERS_MALFORMED;
  headers->version = version;
  headers->status = status;
  headers->announced = -1;
  headers->text.length = 0;
  headers->count = 0;
  return QHUB_HEADERS_MORE;
}

/* Appends "name SEPARATOR value NUL". */
static qhub_headers_result append(qhub_headers *headers, const char *name, size_t name_length,
                                  char separator, const char *value, size_t value_length) {
  char *room;
  size_t length = name_length + value_length + 2;
  qhub_buffer_result result = qhub_buffer_reserve(&headers->text, length, &room);
  if (result != QHUB_BUFFER_OK) {
    headers->count = 0; /* the text is gone */
    return result == QHUB_BUFFER_FULL ? QHUB_HEADERS_TOO_LARGE : QHUB_HEADERS_NO_MEMORY;
  }
  memcpy(room, name, name_length);
  room[name_length] = separator;
  memcpy(room + name_length + 1, value, value_length);
  room[length - 1] = '\0';
  headers->text.length += length;
  return QHUB_HEADERS_MORE;
}

/* Narrows `*text` to what is left without blanks at both ends. */
static void trim(const char **text, size_t *length) {
  while (*length > 0 && is_blank(**text)) {
    (*text)++;
    (*length)--;
  }
  while (*length > 0 && is_blank((*text)[*length - 1])) (*length)--;
}

/* Whether a text is this word, which is in lower case, in any case. */
static bool is_word(const char *text, size_t length, const char *word) {
  if (length != strlen(word)) return false;
  for (size_t i = 0; i < length; i++) {
    if (qhub_lower(text[i]) != word[i]) return false;
  }
  return true;
}

/* Lengths that differ leave the end of the body open, which is an error (RFC 9112, 6.3; the same
** one repeated, as in "5, 5", is not). So does a length beyond 64 bits. libcurl takes the last line
** or none. */
static bool set_length(qhub_headers *headers, const char *value, size_t length) {
  size_t at = 0;
  do {
    int64_t number = 0;
    while (at < length && is_blank(value[at])) at++;
    size_t first = at;
    for (; at < length && qhub_is_digit(value[at]); at++) {
      int digit = value[at] - '0';
      if (number > (INT64_MAX - digit) / 10) return false;
      number = number * 10 + digit;
    }
    if (at == first) return false;
    if (headers->announced >= 0 && headers->announced != number) return false;
    headers->announced = number;
    while (at < length && is_blank(value[at])) at++;
    if (at < length && value[at] != ',') return false;
  } while (at++ < length);
  return true;
}

/* Whether a field that says where the body ends can be relied on. Chunks are the only transfer
** coding that a server may use unrequested (RFC 9112, 7.4), and no other is asked for; "identity"
** is an older name of no coding. libcurl 8.1 to 8.13 would return any other undecoded, with the
** chunks around it. */
static bool set_framing(qhub_headers *headers, const char *name, size_t name_length,
                        const char *value, size_t length) {
  if (is_word(name, name_length, "content-length")) return set_length(headers, value, length);
  return !is_word(name, name_length, "transfer-encoding") || is_word(value, length, "chunked") ||
         is_word(value, length, "identity");
}

qhub_headers_result qhub_headers_add(qhub_headers *headers, const char *line, size_t length) {
  headers->seen += length;
  if (headers->seen > headers->text.limit) return QHUB_HEADERS_TOO_LARGE;
  if (headers->complete) return QHUB_HEADERS_MORE; /* a trailer */
  while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r')) length--;
  if (length > 0 && memchr(line, '\0', length) != NULL) return QHUB_HEADERS_MALFORMED;
  if (length >= strlen("HTTP/") && memcmp(line, "HTTP/", strlen("HTTP/")) == 0) {
    return begin_block(headers, line, length);
  }
  if (headers->status == 0) return QHUB_HEADERS_MALFORMED;
  if (length == 0) {
    if (headers->status < 200) return QHUB_HEADERS_MORE;
    headers->complete = true;
    return QHUB_HEADERS_COMPLETE;
  }
  const char *value = line;
  size_t value_length = length;
  /* A line that begins with white space continues the value before it (obs-fold, RFC 9112, 5.2): it
  ** is joined with one space, in place of the NUL that ended the value. */
  if (is_blank(line[0])) {
    trim(&value, &value_length);
    if (headers->count == 0 || value_length == 0) return QHUB_HEADERS_MORE;
    headers->text.length--;
    return append(headers, line, 0, ' ', value, value_length);
  }
  const char *colon = memchr(line, ':', length);
  if (colon == NULL) return QHUB_HEADERS_MALFORMED; /* libcurl before 7.83 continues */
  const char *name = line;
  size_t name_length = (size_t)(colon - line);
  value = colon + 1;
  value_length = length - name_length - 1;
  trim(&name, &name_length);
  trim(&value, &value_length);
  if (!set_framing(headers, name, name_length, value, value_length)) return QHUB_HEADERS_MALFORMED;
  if (headers->count == MOST_FIELDS) return QHUB_HEADERS_TOO_LARGE;
  headers->count++;
  return append(headers, name, name_length, '\0', value, value_length);
}

bool qhub_headers_next(const qhub_headers *headers, size_t *cursor, const char **name,
                       const char **value) {
  if (*cursor >= headers->text.length) return false;
  char *lower = headers->text.data + *cursor;
  *name = lower;
  for (; *lower != '\0'; lower++) *lower = qhub_lower(*lower); /* not before somebody asks */
  *value = *name + strlen(*name) + 1;
  *cursor = (size_t)(*value - headers->text.data) + strlen(*value) + 1;
  return true;
}
