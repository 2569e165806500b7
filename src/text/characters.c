/* Characters: see characters.h. */
#include "characters.h"

#include <string.h>

/* RFC 3629, section 4: only the second byte has a range that depends on the first. */
size_t qhub_utf8_sequence(const char *text, size_t length) {
  if (length == 0) return 0;
  unsigned char first = (unsigned char)text[0];
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  size_t count = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (length < count) return 0;
  unsigned char second = (unsigned char)text[1];
  unsigned char lowest = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  unsigned char highest = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (second < lowest || second > highest) return 0;
  for (size_t i = 2; i < count; i++) {
    if (!qhub_utf8_is_continuation(text[i])) return 0;
  }
  return count;
}

size_t qhub_utf8_write(unsigned long code_point, char *out) {
  static const unsigned char marks[] = {0, 0xC0, 0xE0, 0xF0}; /* of first bytes */
  size_t more = code_point < 0x80 ? 0 : code_point < 0x800 ? 1 : code_point < 0x10000 ? 2 : 3;
  for (size_t i = more; i > 0; i--) {
    out[i] = (char)(0x80u | (code_point & 0x3Fu));
    code_point >>= 6;
  }
  out[0] = (char)(marks[more] | code_point);
  return more + 1;
}

void qhub_printable(const char *text, size_t length, char out[QHUB_PRINTABLE_SIZE]) {
  static const char digits[] = "0123456789abcdef";
  static const char ellipsis[] = "...";
  const size_t room = QHUB_PRINTABLE_SIZE - sizeof ellipsis; /* the ellipsis and NUL always fit */
  size_t at = 0;
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i];
    char form[4] = {(char)c, '\\', digits[c >> 4], digits[c & 0x0f]};
    size_t width = 1;
    if (c == '\\') {
      width = 2;
    } else if (c < 0x20 || c > 0x7e) {
      form[0] = '\\';
      form[1] = 'x';
      width = 4;
    }
    if (width > room - at) {
      memcpy(out + at, ellipsis, sizeof ellipsis);
      return;
    }
    memcpy(out + at, form, width);
    at += width;
  }
  out[at] = '\0';
}
