/* The inside of a string of a JSON text: see json_string.h. */
#include "json_string.h"

#include "characters.h"

static const char letters[] = "\"\\/bfnrt";
static const char meanings[] = "\"\\/\b\f\n\r\t";

/* The four digits after "\u"; -1 when they are not four hexadecimal digits. Stops at the NUL after
** the text. */
static long read_hex4(const char *digits) {
  long code = 0;
  for (int i = 0; i < 4; i++) {
    int digit = qhub_hex_digit(digits[i]);
    if (digit < 0) return -1;
    code = code * 16 + digit;
  }
  return code;
}

/* The length of the escape at a backslash; 0 and the problem when it is none. */
static size_t measure_escape(const char *escape, const char **problem) {
  if (escape[1] != 'u') {
    *problem = "invalid escape sequence";
    /* strchr would find the NUL after the text, too */
    return escape[1] != '\0' && strchr(letters, escape[1]) != NULL ? 2 : 0;
  }
  long code = read_hex4(escape + 2);
  if (code < 0) {
    *problem = "\\u must be followed by four hexadecimal digits";
    return 0;
  }
  *problem = "unpaired surrogate";
  if (code < 0xD800 || code > 0xDFFF) return 6;
  if (code > 0xDBFF || escape[6] != '\\' || escape[7] != 'u') return 0;
  long low = read_hex4(escape + 8);
  return low >= 0xDC00 && low <= 0xDFFF ? 12 : 0;
}

qhub_json_string qhub_json_string_read(const char *text, const char *end) {
  const char *problem = NULL;
  bool escaped = false;
  for (;;) {
    size_t length = 0;
    text += qhub_json_plain_run(text, (size_t)(end - text));
    if (*text == '"') return (qhub_json_string){text, NULL, escaped};
    if (*text == '\\') {
      escaped = true;
      length = measure_escape(text, &problem);
    } else if (text == end) {
      problem = "the text ends inside a string";
    } else if ((unsigned char)*text < 0x20) {
      problem = "a control character inside a string must be escaped";
    } else {
      problem = "the string is not valid UTF-8";
      length = qhub_utf8_sequence(text, (size_t)(end - text));
    }
    if (length == 0) return (qhub_json_string){text, problem, escaped};
    text += length;
  }
}

/* Writes what the escape at `escape` stands for and moves `*out` on; returns what follows it. */
static const char *write_meaning(const char *escape, char **out) {
  if (escape[1] != 'u') {
    *(*out)++ = meanings[strchr(letters, escape[1]) - letters];
    return escape + 2;
  }
  long code = read_hex4(escape + 2);
  escape += 6;
  if (code >= 0xD800 && code <= 0xDFFF) {
    code = 0x10000 + (code - 0xD800) * 0x400 + (read_hex4(escape + 2) - 0xDC00);
    escape += 6;
  }
  *out += qhub_utf8_write((unsigned long)code, *out);
  return escape;
}

size_t qhub_json_unescape(const char *start, const char *stop, char *out) {
  char *first = out;
  while (start < stop) {
    const char *escape = memchr(start, '\\', (size_t)(stop - start));
    size_t run = (size_t)((escape != NULL ? escape : stop) - start);
    memcpy(out, start, run);
    out += run;
    start += run;
    if (escape != NULL) start = write_meaning(escape, &out);
  }
  return (size_t)(out - first);
}
