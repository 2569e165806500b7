/*
** Reading a JSON text that is known to be valid (json_scan.h): where its strings end, what their
** escapes stand for, and a copy of it for a parser that is not trusted with numbers.
** Allocates nothing, checks nothing again. Knows no Lua.
*/
#ifndef QHUB_JSON_TEXT_H
#define QHUB_JSON_TEXT_H

#include <stddef.h>

/* The closing quote of a string; `start` is behind the opening one, `end` the end of the text. */
const char *qhub_json_string_end(const char *start, const char *end);

/* Writes what the inside of a string, from `start` to `end`, stands for, as UTF-8. `out` has room
** for end - start bytes, for nothing is longer than its escape. Returns how many were written. */
size_t qhub_json_unescape(const char *start, const char *end, char *out);

/* Copies the part of a text from `from` to `end`, both between two tokens, with a 0 in place of
** each number. `out` has room for end - from bytes. Returns where the copy ends. */
char *qhub_json_copy_without_numbers(const char *from, const char *end, char *out);

#endif
