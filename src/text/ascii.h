/*
** Classes of ASCII characters, independent of the host program's locale. Bytes above 0x7F belong to
** none of them.
*/
#ifndef QHUB_ASCII_H
#define QHUB_ASCII_H

#include <stdbool.h>

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

#endif
