/*
** A strict scanner of JSON texts (RFC 8259): says whether a text is valid, and if not, what is
** wrong and where. It builds nothing and allocates nothing. Stricter than the RFC asks in three
** points: nesting is limited, numbers beyond a double are refused, and so are lone surrogates.
**
** It can be stopped on its way, so that a long text is decoded in slices while it is scanned: the
** owner watches one open container and is told when more than `window` bytes of it lie behind the
** mark, and when it closes. See `qhub_json_event`.
**
** Assumes that text[length] may be read and is NUL, as Lua's strings have it. Knows no Lua.
*/
#ifndef QHUB_JSON_SCAN_H
#define QHUB_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

enum { QHUB_JSON_MAX_DEPTH = 1000 };

typedef enum {
  QHUB_JSON_END,     /* the whole text is one valid value */
  QHUB_JSON_ERROR,   /* see `problem` */
  QHUB_JSON_LARGE,   /* just behind a comma, more than `window` bytes behind `mark` */
  QHUB_JSON_CLOSED   /* just behind the bracket that closed the container at depth `watched` */
} qhub_json_event;

typedef struct {
  const char *open;          /* its bracket */
  const char *comma;         /* the last comma between its items so far; NULL: none yet */
  size_t taken;              /* for the owner: items that it took out of it */
  bool is_object;
} qhub_json_level;

typedef struct {
  const char *text;
  const char *end;
  const char *position;      /* the next byte; after an error, where it is */
  const char *problem;       /* what is wrong there */
  bool unexpected;           /* `problem` says what was expected instead of what is there */
  int next;                  /* private: what the grammar wants next */
  size_t depth;              /* open containers; the innermost is levels[depth] */
  const char *mark;          /* set by the owner */
  size_t window;             /* set by the owner */
  size_t watched;            /* set by the owner; 0: none, then QHUB_JSON_CLOSED never comes */
  qhub_json_level levels[QHUB_JSON_MAX_DEPTH + 1];
} qhub_json_scanner;

/* Starts at the first byte, with nothing watched, the mark there and `window` as given. */
void qhub_json_scan_begin(qhub_json_scanner *scanner, const char *text, size_t length,
                          size_t window);

/* Goes on to the next event. To be called again only after QHUB_JSON_LARGE and _CLOSED. */
qhub_json_event qhub_json_scan(qhub_json_scanner *scanner);

/* Line and column of the scanner's position, from 1. Lines end with LF; columns count characters,
** not bytes. */
void qhub_json_scan_where(const qhub_json_scanner *scanner, size_t *line, size_t *column);

/* How many bytes at the start of `text` stand for themselves inside a JSON string: ASCII without
** control characters, quote and backslash. */
size_t qhub_json_plain_run(const char *text, size_t length);

/* Value of a hexadecimal digit, or -1. */
int qhub_json_hex_digit(char digit);

/* Where a run of decimal digits ends; `end` is that of the text. */
const char *qhub_json_digits_end(const char *text, const char *end);

/* True for the four bytes that JSON takes as white space. */
static inline bool qhub_json_is_blank(char byte) {
  return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static inline bool qhub_json_is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

#endif
