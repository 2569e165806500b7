/*
** Feeds texts to the date readers, and checks what must hold for every answer.
** Input: eight bytes of "now" (as of a little-endian integer), then the text.
*/
#include "text/date.h"
#include "text/printable.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW_SIZE = 8 };

static const int64_t YEAR_0000 = INT64_C(-62167219200);
static const int64_t YEAR_10000 = INT64_C(253402300800);
static const int64_t DAY = 86400;

static void require(bool holds) {
  if (!holds) abort();
}

static void check_http(const char *text, size_t length, int64_t now) {
  int64_t seconds = INT64_MIN;
  if (!qhub_date_parse_http(text, length, now, &seconds)) {
    require(seconds == INT64_MIN);
    return;
  }
  require(seconds >= YEAR_0000 && seconds <= YEAR_10000);
  bool short_year = memchr(text, '-', length) != NULL;
  if (short_year && now > 0 && now < YEAR_10000 - 100 * 366 * DAY) {
    require(seconds - now <= 50 * 366 * DAY && now - seconds <= 51 * 366 * DAY);
  }
}

static void check_timestamp(const char *text, size_t length) {
  qhub_timestamp timestamp;
  const char *reason = qhub_date_parse_timestamp(text, length, &timestamp);
  if (reason != NULL) {
    require(reason[0] != '\0');
    return;
  }
  require(timestamp.seconds >= YEAR_0000 - DAY && timestamp.seconds <= YEAR_10000 + DAY);
  double fraction = timestamp.with_fraction - (double)timestamp.seconds;
  require(isfinite(fraction) && fraction >= 0 && fraction <= 1);
  require(timestamp.has_fraction || fraction == 0);
}

static void check_printable(const char *text, size_t length) {
  char shown[QHUB_PRINTABLE_SIZE];
  memset(shown, 1, sizeof shown);
  qhub_printable(text, length, shown);
  const char *end = memchr(shown, '\0', sizeof shown);
  require(end != NULL);
  for (const char *at = shown; at < end; at++) require(*at >= 0x20 && *at < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint64_t now = 0;
  if (size < NOW_SIZE) return 0;
  for (int i = NOW_SIZE; i-- > 0;) now = now << 8 | data[i];
  size_t length = size - NOW_SIZE;
  char *text = malloc(length > 0 ? length : 1); /* of its own: reading beyond it shows */
  require(text != NULL);
  memcpy(text, data + NOW_SIZE, length);
  check_http(text, length, (int64_t)now);
  check_timestamp(text, length);
  check_printable(text, length);
  free(text);
  return 0;
}
