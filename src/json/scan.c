/* A strict scanner of JSON texts: see json_scan.h. */
#include "scan.h"

#include "../text/number.h"
#include "../text/utf8.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* What the grammar wants next. */
enum { VALUE, FIRST_ITEM, FIRST_NAME, NAME, COMMA_OR_CLOSE };

static qhub_json_event fail(qhub_json_scanner *scanner, const char *position, const char *problem) {
  scanner->position = position;
  scanner->problem = problem;
  scanner->unexpected = false;
  return QHUB_JSON_ERROR;
}

static qhub_json_event expect(qhub_json_scanner *scanner, const char *position, const char *what) {
  (void)fail(scanner, position, what);
  scanner->unexpected = true;
  return QHUB_JSON_ERROR;
}

int qhub_json_hex_digit(char digit) {
  if (qhub_json_is_digit(digit)) return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

/* Eight at a time: digits are the bytes 0x30 to 0x3F that keep their high half when 6 is added. */
const char *qhub_json_digits_end(const char *text, const char *end) {
  const uint64_t halves = UINT64_C(0xF0F0F0F0F0F0F0F0);
  const uint64_t digits = UINT64_C(0x3030303030303030);
  uint64_t word;
  for (; (size_t)(end - text) >= sizeof word; text += sizeof word) {
    memcpy(&word, text, sizeof word);
    uint64_t raised = word + UINT64_C(0x0606060606060606);
    if ((word & halves) != digits || (raised & halves) != digits) break;
  }
  while (qhub_json_is_digit(*text)) text++;
  return text;
}

static bool is_plain(char byte) {
  unsigned char code = (unsigned char)byte;
  return code >= 0x20 && code < 0x80 && code != '"' && code != '\\';
}

/* Sets the highest bit of (at least) the lowest byte of `word` that is zero; none when none is. */
static uint64_t zero_bytes(uint64_t word) {
  return (word - UINT64_C(0x0101010101010101)) & ~word & UINT64_C(0x8080808080808080);
}

size_t qhub_json_plain_run(const char *text, size_t length) {
  size_t done = 0;
  uint64_t word;
  for (; length - done >= sizeof word; done += sizeof word) {
    memcpy(&word, text + done, sizeof word);
    uint64_t special = zero_bytes(word ^ UINT64_C(0x2222222222222222)) |
                       zero_bytes(word ^ UINT64_C(0x5C5C5C5C5C5C5C5C)) |
                       ((word - UINT64_C(0x2020202020202020)) & UINT64_C(0x8080808080808080)) |
                       (word & UINT64_C(0x8080808080808080));
    if (special != 0) break;
  }
  while (done < length && is_plain(text[done])) done++;
  return done;
}

/* The four digits behind "\u"; -1 when they are not four hexadecimal digits. Stops at the NUL
** behind the text. */
static long read_hex4(const char *digits) {
  long code = 0;
  for (int i = 0; i < 4; i++) {
    int digit = qhub_json_hex_digit(digits[i]);
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
    (void)fail(scanner, escape, "a surrogate without its other half is no character");
    return NULL;
  }
  /* strchr would find the NUL behind the text, too */
  if (letter != '\0' && strchr("\"\\/bfnrt", letter) != NULL) return escape + 2;
  (void)fail(scanner, escape, "no escape sequence of JSON starts like this");
  return NULL;
}

/* `text` is behind the opening quote. Returns what follows the closing one; NULL after an error. */
static const char *scan_string(qhub_json_scanner *scanner, const char *text) {
  for (;;) {
    size_t left = (size_t)(scanner->end - text);
    size_t run = qhub_json_plain_run(text, left);
    text += run;
    if (*text == '"') return text + 1;
    if (run == left) {
      (void)fail(scanner, text, "the text ends within a string");
      return NULL;
    }
    if (*text == '\\') {
      text = scan_escape(scanner, text);
      if (text == NULL) return NULL;
    } else if ((unsigned char)*text < 0x20) {
      (void)fail(scanner, text, "a control character within a string must be escaped");
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

/* Whether a number that is written with an exponent or with very many digits is beyond a double.
** Only those that may be are converted. */
static bool is_beyond_double(const char *literal) {
  qhub_number number;
  (void)qhub_number_read(literal, &number);
  return !number.is_integer && isinf(number.real);
}

/* Returns what follows the number; NULL after an error. */
static const char *scan_number(qhub_json_scanner *scanner, const char *number) {
  const char *next = number;
  if (*next == '-') next++;
  const char *integer = next;
  next = qhub_json_digits_end(next, scanner->end);
  if (next == integer) {
    (void)expect(scanner, next, "a digit");
    return NULL;
  }
  if (*integer == '0' && next - integer > 1) {
    (void)fail(scanner, integer, "a number must not start with a superfluous 0");
    return NULL;
  }
  bool suspect = next - integer > 308;
  if (*next == '.') {
    const char *fraction = ++next;
    next = qhub_json_digits_end(next, scanner->end);
    if (next == fraction) {
      (void)expect(scanner, next, "a digit behind the decimal point");
      return NULL;
    }
  }
  if (*next == 'e' || *next == 'E') {
    next++;
    bool negative = *next == '-';
    if (*next == '-' || *next == '+') next++;
    const char *exponent = next;
    next = qhub_json_digits_end(next, scanner->end);
    if (next == exponent) {
      (void)expect(scanner, next, "a digit of the exponent");
      return NULL;
    }
    suspect = suspect || (!negative && next - exponent > 2);
    suspect = suspect || (!negative && next - number > 200);
  }
  if (suspect && is_beyond_double(number)) {
    (void)fail(scanner, number, "the number is too large for a double");
    return NULL;
  }
  return next;
}

/* Returns what follows the word; NULL after an error. */
static const char *scan_word(qhub_json_scanner *scanner, const char *text, const char *word) {
  size_t length = strlen(word);
  if (strncmp(text, word, length) == 0) return text + length;
  (void)expect(scanner, text, "a value");
  return NULL;
}

/* A value that is no container. Returns what follows it; NULL after an error. */
static const char *scan_scalar(qhub_json_scanner *scanner, const char *text) {
  if (text == scanner->end && scanner->depth == 0) {
    (void)fail(scanner, text, "the text is empty or blank");
    return NULL;
  }
  switch (*text) {
    case '"': return scan_string(scanner, text + 1);
    case 't': return scan_word(scanner, text, "true");
    case 'f': return scan_word(scanner, text, "false");
    case 'n': return scan_word(scanner, text, "null");
    default:
      if (qhub_json_is_digit(*text) || *text == '-') return scan_number(scanner, text);
      if (text == scanner->text && strncmp(text, "\xEF\xBB\xBF", 3) == 0) {
        (void)fail(scanner, text, "a byte order mark is no part of JSON");
      } else {
        (void)expect(scanner, text, "a value");
      }
      return NULL;
  }
}

/* Behind the quote of a name: the name and its colon. Returns what follows; NULL after an error. */
static const char *scan_name(qhub_json_scanner *scanner, const char *text) {
  text = scan_string(scanner, text);
  if (text == NULL) return NULL;
  while (qhub_json_is_blank(*text)) text++;
  if (*text == ':') return text + 1;
  (void)expect(scanner, text, "':' behind the name of a member");
  return NULL;
}

void qhub_json_scan_begin(qhub_json_scanner *scanner, const char *text, size_t length,
                          size_t window) {
  scanner->text = text;
  scanner->end = text + length;
  scanner->position = text;
  scanner->problem = NULL;
  scanner->unexpected = false;
  scanner->next = VALUE;
  scanner->depth = 0;
  scanner->mark = text;
  scanner->window = window;
  scanner->watched = 0;
}

/* Returns false when the nesting is too deep. */
static bool open_container(qhub_json_scanner *scanner, const char *bracket) {
  if (scanner->depth == QHUB_JSON_MAX_DEPTH) return false;
  qhub_json_level *level = &scanner->levels[++scanner->depth];
  level->open = bracket;
  level->comma = NULL;
  level->taken = 0;
  level->is_object = *bracket == '{';
  return true;
}

/* A value, or as much of it as its opening bracket. Returns what follows, and in `next` what is
** wanted there; NULL after an error. */
static const char *scan_value(qhub_json_scanner *scanner, const char *text, int *next) {
  if (*text != '[' && *text != '{') {
    *next = COMMA_OR_CLOSE;
    return scan_scalar(scanner, text);
  }
  if (!open_container(scanner, text)) {
    (void)fail(scanner, text, "more than 1000 arrays and objects within each other");
    return NULL;
  }
  *next = *text == '[' ? FIRST_ITEM : FIRST_NAME;
  return text + 1;
}

static qhub_json_event scan_end(qhub_json_scanner *scanner, const char *text) {
  if (text == scanner->end) return QHUB_JSON_END;
  return expect(scanner, text, "nothing more behind the value");
}

static qhub_json_event stop_at(qhub_json_scanner *scanner, const char *text, int next,
                             qhub_json_event event) {
  scanner->position = text;
  scanner->next = next;
  return event;
}

qhub_json_event qhub_json_scan(qhub_json_scanner *scanner) {
  const char *text = scanner->position;
  int next = scanner->next;
  for (;;) {
    while (qhub_json_is_blank(*text)) text++;
    if ((next == FIRST_ITEM && *text == ']') || (next == FIRST_NAME && *text == '}')) {
      next = COMMA_OR_CLOSE;
    }
    if (next == FIRST_NAME || next == NAME) {
      if (*text != '"') return expect(scanner, text, "the name of a member in quotes");
      text = scan_name(scanner, text + 1);
      next = VALUE;
    } else if (next != COMMA_OR_CLOSE) {
      text = scan_value(scanner, text, &next);
    } else {
      if (scanner->depth == 0) return scan_end(scanner, text);
      qhub_json_level *level = &scanner->levels[scanner->depth];
      if (*text == ',') {
        level->comma = text++;
        next = level->is_object ? NAME : VALUE;
        if ((size_t)(text - scanner->mark) > scanner->window) {
          return stop_at(scanner, text, next, QHUB_JSON_LARGE);
        }
      } else if (*text == (level->is_object ? '}' : ']')) {
        text++;
        if (scanner->depth-- == scanner->watched) {
          return stop_at(scanner, text, COMMA_OR_CLOSE, QHUB_JSON_CLOSED);
        }
      } else {
        return expect(scanner, text, level->is_object ? "',' or '}'" : "',' or ']'");
      }
    }
    if (text == NULL) return QHUB_JSON_ERROR;
  }
}

void qhub_json_scan_where(const qhub_json_scanner *scanner, size_t *line, size_t *column) {
  *line = 1;
  *column = 1;
  for (const char *byte = scanner->text; byte < scanner->position; byte++) {
    if (*byte == '\n') {
      ++*line;
      *column = 1;
    } else if (((unsigned char)*byte & 0xC0u) != 0x80u) {
      ++*column;
    }
  }
}
