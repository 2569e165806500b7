/* Validation of UTF-8: see utf8.h. */
#include "utf8.h"

/* RFC 3629, section 4: only the second byte has a range that depends on the first. */
size_t qhub_utf8_sequence(const char *text, size_t length) {
  if (length == 0) return 0;
  const unsigned char *bytes = (const unsigned char *)text;
  unsigned char first = bytes[0];
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  if (first < 0xE0) return length >= 2 && qhub_utf8_is_continuation(text[1]) ? 2 : 0;
  if (first < 0xF0) {
    unsigned char lowest = first == 0xE0 ? 0xA0 : 0x80;
    unsigned char highest = first == 0xED ? 0x9F : 0xBF;
    if (length < 3 || bytes[1] < lowest || bytes[1] > highest) return 0;
    return qhub_utf8_is_continuation(text[2]) ? 3 : 0;
  }
  unsigned char lowest = first == 0xF0 ? 0x90 : 0x80;
  unsigned char highest = first == 0xF4 ? 0x8F : 0xBF;
  if (length < 4 || bytes[1] < lowest || bytes[1] > highest) return 0;
  return qhub_utf8_is_continuation(text[2]) && qhub_utf8_is_continuation(text[3]) ? 4 : 0;
}

size_t qhub_utf8_write(unsigned long code_point, char *out) {
  if (code_point < 0x80) {
    out[0] = (char)code_point;
    return 1;
  }
  if (code_point < 0x800) {
    out[0] = (char)(0xC0u | (code_point >> 6));
    out[1] = (char)(0x80u | (code_point & 0x3Fu));
    return 2;
  }
  if (code_point < 0x10000) {
    out[0] = (char)(0xE0u | (code_point >> 12));
    out[1] = (char)(0x80u | ((code_point >> 6) & 0x3Fu));
    out[2] = (char)(0x80u | (code_point & 0x3Fu));
    return 3;
  }
  out[0] = (char)(0xF0u | (code_point >> 18));
  out[1] = (char)(0x80u | ((code_point >> 12) & 0x3Fu));
  out[2] = (char)(0x80u | ((code_point >> 6) & 0x3Fu));
  out[3] = (char)(0x80u | (code_point & 0x3Fu));
  return 4;
}
