/*
** Characters: classes of ASCII and UTF-8, independent of the host program's locale, and foreign
** text made fit for a message. Knows nothing of JSON, Lua or the network; touches only the bytes
** that it is given.
*/
#ifndef QHUB_CHARACTERS_H
#define QHUB_CHARACTERS_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes above 0x7F belong to none of these classes. */
static inline bool qhub_is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

static inline bool qhub_is_alpha(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static inline bool qhub_is_control(char byte) {
  return (unsigned char)byte < 0x20 || byte == 0x7f;
}

static inline char qhub_lower(char byte) {
  return (char)(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
}

/* Value of a hexadecimal digit, or -1. */
static inline int qhub_hex_digit(char digit) {
  if (qhub_is_digit(digit)) return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

/* Whether the byte is not the first of its character. */
static inline bool qhub_utf8_is_continuation(char byte) {
  return ((unsigned char)byte & 0xC0u) == 0x80u;
}

/* Bytes (1 to 4) of the well-formed character at the start of `text`; 0 when there is none.
** Overlong forms, surrogates and what is above U+10FFFF are not well-formed (RFC 3629). */
size_t qhub_utf8_sequence(const char *text, size_t length);

/* Writes the code point (at most U+10FFFF) at `out`, which has room for 4 bytes; returns how many
** were written. */
size_t qhub_utf8_write(unsigned long code_point, char *out);

enum { QHUB_PRINTABLE_SIZE = 128 }; /* bytes of the result, its NUL included */

/* Writes `text` to `out` as a C string. Ids and timestamps come from servers; shown as they are,
** they could move a terminal's cursor or fill the screen: other bytes than printable ASCII become
** \xHH, a backslash is doubled, and what does not fit is replaced by "...". */
void qhub_printable(const char *text, size_t length, char out[QHUB_PRINTABLE_SIZE]);

#endif
