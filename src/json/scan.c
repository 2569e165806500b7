/* A strict scanner of JSON texts: see scan.h. */
#include "scan.h"

#include "../text/ascii.h"
#include "../text/utf8.h"
#include "word.h"

#include <math.h>
#include <string.h>

/* What the grammar wants next. */
enum { VALUE, FIRST_ITEM, FIRST_NAME, COMMA_OR_CLOSE };

static qhub_json_token fail(qhub_json_scanner *scanner, const char *position, const char *problem) {
  scanner->position = position;
  scanner->problem = problem;
  scanner->unexpected = false;
  return QHUB_JSON_ERROR;
}

static qhub_json_token expect(qhub_json_scanner *scanner, const char *position, const char *what) {
  (void)fail(scanner, position, what);
  scanner->unexpected = true;
  return QHUB_JSON_ERROR;
}

static const char *skip_blanks(const char *text) {
  while (*text == ' ' || *text == '\n' || *text == '\r' || *text == '\t') text++;
  return text;
}

/* ---- strings ----------------------------------------------------------------------------- */

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

/* `escape` is at a backslash. Returns what follows the escape; NULL after an error. */
static const char *scan_escape(qhub_json_scanner *scanner, const char *escape) {
  char letter = escape[1];
  if (letter == 'u') {
    long code = read_hex4(escape + 2);
    if (code < 0) {
      (void)fail(scanner, escape, "\\u must be followed by four hexadecimal digits");
      return NULL;
    }
    if (code < 0xD800 || code > 0xDFFF) return escape + 6;
    if (code < 0xDC00 && escape[6] == '\\' && escape[7] == 'u') {
      long low = read_hex4(escape + 8);
      if (low >= 0xDC00 && low <= 0xDFFF) return escape + 12;
    }
    (void)fail(scanner, escape, "unpaired surrogate");
    return NULL;
  }
  /* strchr would find the NUL after the text, too */
  if (letter != '\0' && strchr("\"\\/bfnrt", letter) != NULL) return escape + 2;
  (void)fail(scanner, escape, "invalid escape sequence");
  return NULL;
}

/* `text` is after the opening quote. Returns what follows the closing one; NULL after an error. */
static const char *scan_string(qhub_json_scanner *scanner, const char *text) {
  scanner->start = text;
  scanner->escaped = false;
  for (;;) {
    text += qhub_json_plain_run(text, (size_t)(scanner->end - text));
    if (*text == '"') {
      scanner->stop = text;
      return text + 1;
    }
    if (text == scanner->end) {
      (void)fail(scanner, text, "the text ends inside a string");
      return NULL;
    }
    if (*text == '\\') {
      scanner->escaped = true;
      text = scan_escape(scanner, text);
      if (text == NULL) return NULL;
    } else if ((unsigned char)*text < 0x20) {
      (void)fail(scanner, text, "a control character inside a string must be escaped");
      return NULL;
    } else {
      size_t sequence = qhub_utf8_sequence(text, (size_t)(scanner->end - text));
      if (sequence == 0) {
        (void)fail(scanner, text, "the string is not valid UTF-8");
        return NULL;
      }
      text += sequence;
    }
  }
}

/* Writes what the escape at `escape` stands for and moves `*out` on; returns what follows it. */
static const char *write_meaning(const char *escape, char **out) {
  static const char letters[] = "\"\\/bfnrt";
  static const char meanings[] = "\"\\/\b\f\n\r\t";
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

/* ---- values ------------------------------------------------------------------------------ */

/* `text` is at a literal that qhub_number_read refused at `end`. */
static qhub_json_token fail_number(qhub_json_scanner *scanner, const char *text, const char *end) {
  if (scanner->number.kind == QHUB_NUMBER_TOO_LARGE) {
    return fail(scanner, text, "the number is too large for a double");
  }
  if (qhub_is_digit(*end)) return fail(scanner, end - 1, "a number must not have leading zeros");
  if (end[-1] == '.') return expect(scanner, end, "a digit after the decimal point");
  return expect(scanner, end, end - text <= 1 ? "a digit" : "a digit of the exponent");
}

/* NaN, Infinity or -Infinity, where the owner accepts them; else returns NULL. */
static const char *scan_not_finite(qhub_json_scanner *scanner, const char *text) {
  if (!scanner->accept_nan) return NULL;
  bool negative = *text == '-';
  bool is_nan = strncmp(text, "NaN", 3) == 0;
  if (!is_nan && strncmp(text + negative, "Infinity", 8) != 0) return NULL;
  scanner->number.kind = QHUB_NUMBER_REAL;
  scanner->number.real = is_nan ? NAN : negative ? -INFINITY : INFINITY;
  return text + (is_nan ? 3 : negative + 8);
}

static qhub_json_token scan_number(qhub_json_scanner *scanner, const char *text) {
  const char *end = qhub_number_read(text, &scanner->number);
  if (scanner->number.kind > QHUB_NUMBER_REAL) {
    const char *word = scan_not_finite(scanner, text);
    if (word == NULL) return fail_number(scanner, text, end);
    end = word;
  }
  scanner->position = end;
  return QHUB_JSON_NUMBER;
}

/* Fails: this is not a value. */
static qhub_json_token fail_value(qhub_json_scanner *scanner, const char *text) {
  if (text == scanner->end && scanner->depth == 0) {
    return fail(scanner, text, "the text is empty or blank");
  }
  if (text == scanner->text && strncmp(text, "\xEF\xBB\xBF", 3) == 0) {
    return fail(scanner, text, "JSON must not start with a byte order mark");
  }
  return expect(scanner, text, "a value");
}

static qhub_json_token scan_word(qhub_json_scanner *scanner, const char *text, const char *word,
                                 size_t length, qhub_json_token token) {
  if (strncmp(text, word, length) != 0) return fail_value(scanner, text);
  scanner->position = text + length;
  return token;
}

static qhub_json_token open_container(qhub_json_scanner *scanner, const char *text) {
  if (scanner->depth == QHUB_JSON_MAX_DEPTH) {
    return fail(scanner, text, "arrays and objects are nested more than 1000 deep");
  }
  bool is_object = *text == '{';
  uint64_t bit = UINT64_C(1) << (scanner->depth % 64);
  uint64_t *word = &scanner->objects[scanner->depth / 64];
  *word = is_object ? *word | bit : *word & ~bit;
  scanner->depth++;
  scanner->values_left -= QHUB_JSON_CONTAINER_WEIGHT - 1;
  scanner->next = is_object ? FIRST_NAME : FIRST_ITEM;
  scanner->position = text + 1;
  return is_object ? QHUB_JSON_OPEN_OBJECT : QHUB_JSON_OPEN_ARRAY;
}

/* A value, or as much of it as its opening bracket. */
static qhub_json_token scan_value(qhub_json_scanner *scanner, const char *text) {
  if (--scanner->values_left < 0) {
    return fail(scanner, text,
                "the text has more than 16777216 values (an array or object counts "
                "as 4)");
  }
  scanner->next = COMMA_OR_CLOSE;
  switch (*text) {
    case '"':
      text = scan_string(scanner, text + 1);
      if (text == NULL) return QHUB_JSON_ERROR;
      scanner->position = text;
      return QHUB_JSON_STRING;
    case '[':
    case '{': return open_container(scanner, text);
    case 't': return scan_word(scanner, text, "true", 4, QHUB_JSON_TRUE);
    case 'f': return scan_word(scanner, text, "false", 5, QHUB_JSON_FALSE);
    case 'n': return scan_word(scanner, text, "null", 4, QHUB_JSON_NULL);
    default: {
      if (qhub_is_digit(*text) || *text == '-') return scan_number(scanner, text);
      const char *end = scan_not_finite(scanner, text);
      if (end == NULL) return fail_value(scanner, text);
      scanner->position = end;
      return QHUB_JSON_NUMBER;
    }
  }
}

/* The name of a member and its colon. */
static qhub_json_token scan_name(qhub_json_scanner *scanner, const char *text) {
  if (*text != '"') return expect(scanner, text, "a member's name in double quotes");
  text = scan_string(scanner, text + 1);
  if (text == NULL) return QHUB_JSON_ERROR;
  text = skip_blanks(text);
  if (*text != ':') return expect(scanner, text, "':' after the member's name");
  scanner->position = text + 1;
  scanner->next = VALUE;
  return QHUB_JSON_NAME;
}

static qhub_json_token close_container(qhub_json_scanner *scanner, const char *text) {
  scanner->depth--;
  scanner->next = COMMA_OR_CLOSE;
  scanner->position = text + 1;
  return QHUB_JSON_CLOSE;
}

/* After a value: the end, a bracket, or a comma and what follows it. */
static qhub_json_token scan_after(qhub_json_scanner *scanner, const char *text) {
  if (scanner->depth == 0) {
    if (text == scanner->end) return QHUB_JSON_END;
    return fail(scanner, text, "unexpected text after the value");
  }
  int around = scanner->depth - 1;
  bool in_object = (scanner->objects[around / 64] >> (around % 64) & 1) != 0;
  if (*text == ',') {
    text = skip_blanks(text + 1);
    return in_object ? scan_name(scanner, text) : scan_value(scanner, text);
  }
  if (*text == (in_object ? '}' : ']')) return close_container(scanner, text);
  return expect(scanner, text, in_object ? "',' or '}'" : "',' or ']'");
}

qhub_json_token qhub_json_next(qhub_json_scanner *scanner) {
  const char *text = skip_blanks(scanner->position);
  switch (scanner->next) {
    case COMMA_OR_CLOSE: return scan_after(scanner, text);
    case FIRST_ITEM:
      if (*text == ']') return close_container(scanner, text);
      return scan_value(scanner, text);
    case FIRST_NAME:
      if (*text == '}') return close_container(scanner, text);
      return scan_name(scanner, text);
    default: return scan_value(scanner, text);
  }
}

void qhub_json_begin(qhub_json_scanner *scanner, const char *text, size_t length, bool accept_nan) {
  scanner->text = text;
  scanner->end = text + length;
  scanner->position = text;
  scanner->accept_nan = accept_nan;
  scanner->problem = NULL;
  scanner->unexpected = false;
  scanner->next = VALUE;
  scanner->depth = 0;
  scanner->values_left = QHUB_JSON_MAX_VALUES;
}

void qhub_json_where(const qhub_json_scanner *scanner, size_t *line, size_t *column) {
  *line = 1;
  *column = 1;
  for (const char *byte = scanner->text; byte < scanner->position; byte++) {
    if (*byte == '\n') {
      ++*line;
      *column = 1;
    } else if (!qhub_utf8_is_continuation(*byte)) {
      ++*column;
    }
  }
}
