/*
** Eight bytes of a text as one number, to look at all of them at once. Knows no Lua.
*/
#ifndef QHUB_JSON_WORD_H
#define QHUB_JSON_WORD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The first byte is the lowest; zeros stand for bytes that the text does not have. */
static inline uint64_t qhub_json_word(const char *text, size_t length) {
  uint64_t word = 0;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  if (length >= 8) {
    memcpy(&word, text, 8);
    return word;
  }
  if (length >= 4) {
    uint32_t low, high; /* they may overlap */
    memcpy(&low, text, 4);
    memcpy(&high, text + length - 4, 4);
    return low | (uint64_t)high << (8 * (length - 4));
  }
#endif
  for (size_t i = 0; i < length && i < 8; i++) word |= (uint64_t)(unsigned char)text[i] << (8 * i);
  return word;
}

/* Sets the highest bit of each byte that cannot stand for itself in a JSON string: one of 0x80 and
** above, a control character, a quote, a backslash. Only such a byte borrows from the next one, so
** that the lowest bit that is set is true. */
static inline uint64_t qhub_json_special(uint64_t word) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  uint64_t quotes = (word ^ (ones * '"')) - ones;
  uint64_t backslashes = (word ^ (ones * '\\')) - ones;
  return (word | (word - ones * 0x20) | quotes | backslashes) & (ones * 0x80);
}

/* How many bytes at the start of `text` stand for themselves in a JSON string. The bytes that the
** last word lacks are zeros, and special: thus the loop ends. */
static inline size_t qhub_json_plain_run(const char *text, size_t length) {
  for (size_t done = 0;; done += 8) {
    uint64_t special = qhub_json_special(qhub_json_word(text + done, length - done));
    if (special != 0) return done + (size_t)__builtin_ctzll(special) / 8;
  }
}

#endif
