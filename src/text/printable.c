/* Foreign text made fit for a message: see printable.h. */
#include "printable.h"

#include <string.h>

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
