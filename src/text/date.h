/*
** Dates in text: those of HTTP headers and those that the gateway writes.
**
** Turns them into seconds since 1970-01-01 00:00:00 UTC by arithmetic of its own, so that neither
** the locale, nor TZ, nor a platform's missing timegm can matter. Reads no clock: the one rule that
** needs the present (two-digit years) is given it. Knows neither Lua nor curl.
*/
#ifndef QHUB_DATE_H
#define QHUB_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One of the three forms of RFC 9110 section 5.6.7, without blanks round it. A weekday that does
** not fit the date is let pass. `now`: seconds since the epoch. Returns false, and leaves
** `*seconds` alone, when the text is no such date. */
bool qhub_date_parse_http(const char *text, size_t length, int64_t now, int64_t *seconds);

typedef struct {
  int64_t seconds;
  bool has_fraction;
  double with_fraction; /* seconds and fraction, when there is one */
} qhub_timestamp;

/* `2026-02-27 10:04:50` or ISO 8601 `2026-02-27T10:04:50.123+01:00`; UTC where no zone is given.
** Returns NULL, or a static reason that reads on after "the text". */
const char *qhub_date_parse_timestamp(const char *text, size_t length, qhub_timestamp *timestamp);

#endif
