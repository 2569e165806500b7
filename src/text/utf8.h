/*
** Validation of UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above
** U+10FFFF. Knows nothing of JSON, Lua or the network; touches only the bytes that it is given.
*/
#ifndef QHUB_UTF8_H
#define QHUB_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes (1 to 4) of the well-formed character at the start of `text`; 0 when there is none. */
size_t qhub_utf8_sequence(const char *text, size_t length);

/* How many bytes at the start of `text` are well-formed; `length` when all of them are. */
size_t qhub_utf8_valid_prefix(const char *text, size_t length);

bool qhub_utf8_is_valid(const char *text, size_t length);

/* Writes the code point (at most U+10FFFF) at `out`, which has room for 4 bytes; returns how many
** were written. */
size_t qhub_utf8_write(unsigned long code_point, char *out);

#endif
