/* Dates in HTTP headers: see date.h. */
#include "date.h"

#include <curl/curl.h>
#include <string.h>
#include <time.h>

/* Without the rule about the weekday, libcurl would read a date in a bare number. */
bool qhub_date_parse_http(const char *text, size_t length, int64_t *seconds) {
  static const char days[] = "Sun Mon Tue Wed Thu Fri Sat";
  char day[4] = "";
  if (length < 4 || strlen(text) != length) return false;
  memcpy(day, text, 3);
  if (strchr(day, ' ') != NULL || strstr(days, day) == NULL) return false;
  time_t date = curl_getdate(text, NULL);
  if (date == (time_t)-1) return false;
  *seconds = (int64_t)date;
  return true;
}
