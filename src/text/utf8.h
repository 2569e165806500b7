/*
** Validation of UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above
** U+10FFFF. Knows nothing of JSON, Lua or the network; touches only the bytes that it is given.
*/
#ifndef QHUB_UTF8_H
#define QHUB_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the byte is not the first of its character. */
static inline bool qhub_utf8_is_continuation(char byte) {
  return ((unsigned char)byte & 0xC0u) == 0x80u;
}

/* Bytes (1 to 4) of the well-formed character at the start of `text`; 0 when there is none. */
size_t qhub_utf8_sequence(const char *text, size_t length);

/* Writes the code point (at most U+10FFFF) at `out`, which has room for 4 bytes; returns how many
** were written. */
size_t qhub_utf8_write(unsigned long code_point, char *out);

#endif
