/*
** Foreign text made fit for a message: bounded, and nothing but printable ASCII.
**
** Ids and timestamps come from servers; shown as they are, they could move a terminal's cursor or
** fill the screen. Knows neither Lua nor curl.
*/
#ifndef QHUB_PRINTABLE_H
#define QHUB_PRINTABLE_H

#include <stddef.h>

enum { QHUB_PRINTABLE_SIZE = 128 }; /* bytes of the result, its NUL included */

/* Writes `text` to `out` as a C string; other bytes than printable ASCII become \xHH, a backslash
** is doubled, and what does not fit is replaced by "...". */
void qhub_printable(const char *text, size_t length, char out[QHUB_PRINTABLE_SIZE]);

#endif
