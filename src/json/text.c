/* Reading a JSON text that is known to be valid: see json_text.h. */
#include "text.h"

#include "scan.h"
#include "../text/utf8.h"

#include <string.h>

/* The first quote with an even number of backslashes before it. */
const char *qhub_json_string_end(const char *start, const char *end) {
  const char *quote = start;
  for (;;) {
    quote = memchr(quote, '"', (size_t)(end - quote));
    const char *before = quote;
    while (before > start && before[-1] == '\\') before--;
    if ((quote - before) % 2 == 0) return quote;
    quote++;
  }
}

static unsigned long read_hex4(const char *digits) {
  unsigned long code = 0;
  for (int i = 0; i < 4; i++) code = code * 16 + (unsigned long)qhub_json_hex_digit(digits[i]);
  return code;
}

/* Writes what the escape at `escape` stands for and moves `*out` on; returns what follows it. */
static const char *write_meaning(const char *escape, char **out) {
  static const char letters[] = "\"\\/bfnrt";
  static const char meanings[] = "\"\\/\b\f\n\r\t";
  if (escape[1] != 'u') {
    *(*out)++ = meanings[strchr(letters, escape[1]) - letters];
    return escape + 2;
  }
  unsigned long code = read_hex4(escape + 2);
  escape += 6;
  if (code >= 0xD800 && code <= 0xDFFF) {
    code = 0x10000 + ((code - 0xD800) << 10) + (read_hex4(escape + 2) - 0xDC00);
    escape += 6;
  }
  *out += qhub_utf8_write(code, *out);
  return escape;
}

size_t qhub_json_unescape(const char *start, const char *end, char *out) {
  char *first = out;
  while (start < end) {
    const char *escape = memchr(start, '\\', (size_t)(end - start));
    size_t run = (size_t)((escape != NULL ? escape : end) - start);
    memcpy(out, start, run);
    out += run;
    start += run;
    if (escape != NULL) start = write_meaning(escape, &out);
  }
  return (size_t)(out - first);
}

/* Where the number ends. */
static const char *skip_number(const char *number, const char *end) {
  number = qhub_json_digits_end(number + 1, end);
  if (*number == '.') number = qhub_json_digits_end(number + 1, end);
  if (*number == 'e' || *number == 'E') number = qhub_json_digits_end(number + 2, end);
  return number;
}

char *qhub_json_copy_without_numbers(const char *from, const char *end, char *out) {
  while (from < end) {
    const char *start = from;
    if (*from == '"') {
      from = qhub_json_string_end(from + 1, end) + 1;
      memcpy(out, start, (size_t)(from - start));
      out += from - start;
    } else if (*from == '-' || qhub_json_is_digit(*from)) {
      from = skip_number(from, end);
      *out++ = '0';
    } else {
      *out++ = *from++;
    }
  }
  return out;
}
