/*
** The inside of a string of a JSON text: reading it, and finding what must be escaped. Knows no
** Lua, and nothing of the rest of a JSON text.
*/
#ifndef QHUB_JSON_STRING_H
#define QHUB_JSON_STRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
  const char *stop;    /* the closing quote; or where the string is wrong */
  const char *problem; /* static; NULL: none */
  bool escaped;        /* it has an escape: see qhub_json_unescape */
} qhub_json_string;

/* Reads a string, of which `text` is the first byte after the opening quote. `end` is the end of
** the whole text, where there is a NUL. Lone surrogates are refused. */
qhub_json_string qhub_json_string_read(const char *text, const char *end);

/* Writes what the inside of a valid string, from `start` to `stop`, stands for, as UTF-8. `out` has
** room for stop - start bytes: no character is longer than its escape. Returns how many were
** written. */
size_t qhub_json_unescape(const char *start, const char *stop, char *out);

/* Eight bytes of a text as one number, to look at all of them at once. The first byte is the
** lowest; zeros stand for bytes that the text does not have. */
static inline uint64_t qhub_json_word(const char *text, size_t length) {
  uint64_t word = 0;
  if (length >= sizeof word) {
    memcpy(&word, text, sizeof word);
  } else {
    memcpy(&word, text, length);
  }
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

/* How many bytes at the start of `text` stand for themselves in a JSON string. All do but those of
** 0x80 and above, control characters, quotes and backslashes: these set their highest bit in
** `special`. Only such a byte borrows from the next one, so that the lowest bit that is set is
** true. The bytes that the last word lacks are zeros, and special: thus the loop ends. */
static inline size_t qhub_json_plain_run(const char *text, size_t length) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  for (size_t done = 0;; done += 8) {
    uint64_t word = qhub_json_word(text + done, length - done);
    uint64_t quotes = (word ^ (ones * '"')) - ones;
    uint64_t backslashes = (word ^ (ones * '\\')) - ones;
    uint64_t special = (word | (word - ones * 0x20) | quotes | backslashes) & (ones * 0x80);
    if (special != 0) return done + (size_t)__builtin_ctzll(special) / 8;
  }
}

#endif
