/*
** Dates in HTTP headers, as libcurl reads them.
*/
#ifndef QHUB_DATE_H
#define QHUB_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Seconds since the epoch of a date that starts with a weekday (RFC 9110 section 5.6.7, and what
** curl_getdate takes beyond it). `text` ends in a NUL after `length` bytes. Returns false, and
** leaves `*seconds` alone, when it is not such a date. */
bool qhub_date_parse_http(const char *text, size_t length, int64_t *seconds);

#endif
