/* Dates in text: see date.h. */
#include "date.h"

#include <string.h>

enum {
  SECONDS_A_DAY = 86400,
  EXACT_DIGITS = 15,         /* of a fraction: what a double can tell apart */
};

/* What is left to read. Every reader below takes what it wants, or takes nothing and is false. */
typedef struct {
  const char *at;
  const char *end;
} cursor;

typedef struct {
  int year, month, day, hour, minute, second;
} civil;

static bool take_char(cursor *in, char c) {
  if (in->at == in->end || *in->at != c) return false;
  in->at++;
  return true;
}

static bool take_either(cursor *in, char one, char other) {
  return take_char(in, one) || take_char(in, other);
}

static bool take_text(cursor *in, const char *text) {
  size_t length = strlen(text);
  if ((size_t)(in->end - in->at) < length || memcmp(in->at, text, length) != 0) return false;
  in->at += length;
  return true;
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* Exactly `count` digits (at most 4). */
static bool take_digits(cursor *in, int count, int *value) {
  if (in->end - in->at < count) return false;
  int sum = 0;
  for (int i = 0; i < count; i++) {
    if (!is_digit(in->at[i])) return false;
    sum = sum * 10 + (in->at[i] - '0');
  }
  in->at += count;
  *value = sum;
  return true;
}

/* One of the `count` names; `*index` counts from 0. */
static bool take_name(cursor *in, const char *const *names, int count, int *index) {
  for (int i = 0; i < count; i++) {
    if (take_text(in, names[i])) {
      *index = i;
      return true;
    }
  }
  return false;
}

static bool take_time(cursor *in, civil *date) {
  return take_digits(in, 2, &date->hour) && take_char(in, ':') &&
         take_digits(in, 2, &date->minute) && take_char(in, ':') &&
         take_digits(in, 2, &date->second);
}

static bool is_leap(int year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_of_month(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Is there such a day and, with the leap second, such a time? Returns NULL or the reason. */
static const char *check_civil(const civil *date) {
  if (date->month < 1 || date->month > 12) return "has no such month";
  if (date->day < 1 || date->day > days_of_month(date->year, date->month)) {
    return "has a day that its month does not have";
  }
  if (date->hour > 23 || date->minute > 59 || date->second > 60) return "has no such time of day";
  return NULL;
}

/* Days from 1970-01-01 in the Gregorian calendar. Years are counted from March, which puts the leap
** day at the end and makes the lengths of months a linear formula. `year` from 0. */
static int64_t days_from_civil(int year, int month, int day) {
  int64_t shifted = month > 2 ? year : (int64_t)year - 1;
  int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
  int64_t year_of_era = shifted - era * 400;
  int64_t month_from_march = month > 2 ? month - 3 : month + 9;
  int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
  int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

/* A leap second is counted as the first second of the next minute, as POSIX time does. */
static int64_t to_seconds(const civil *date) {
  return days_from_civil(date->year, date->month, date->day) * SECONDS_A_DAY +
         (int64_t)date->hour * 3600 + (int64_t)date->minute * 60 + date->second;
}

/* RFC 9110: a two-digit year that seems more than 50 years ahead means the past one. So: the latest
** year with these digits that is not more than 50 years ahead. */
static void complete_year(civil *date, int64_t now) {
  civil half_a_century_before = *date;
  half_a_century_before.year = date->year + 1900 + 100 - 50;
  date->year += 1900;
  while (date->year < 9900 && to_seconds(&half_a_century_before) <= now) {
    half_a_century_before.year += 100;
    date->year += 100;
  }
}

bool qhub_date_parse_http(const char *text, size_t length, int64_t now, int64_t *seconds) {
  static const char *const long_days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                          "Thursday", "Friday", "Saturday"};
  static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  cursor in = {text, text + length};
  civil date = {0};
  int weekday;
  bool complete = false;
  if (take_name(&in, long_days, 7, &weekday)) { /* Sunday, 06-Nov-94 08:49:37 GMT */
    complete = take_text(&in, ", ") && take_digits(&in, 2, &date.day) && take_char(&in, '-') &&
               take_name(&in, months, 12, &date.month) && take_char(&in, '-') &&
               take_digits(&in, 2, &date.year) && take_char(&in, ' ') && take_time(&in, &date) &&
               take_text(&in, " GMT");
    date.month++;
    if (complete) complete_year(&date, now);
  } else if (take_name(&in, days, 7, &weekday)) {
    if (take_text(&in, ", ")) { /* Sun, 06 Nov 1994 08:49:37 GMT */
      complete = take_digits(&in, 2, &date.day) && take_char(&in, ' ') &&
                 take_name(&in, months, 12, &date.month) && take_char(&in, ' ') &&
                 take_digits(&in, 4, &date.year) && take_char(&in, ' ') && take_time(&in, &date) &&
                 take_text(&in, " GMT");
    } else { /* Sun Nov  6 08:49:37 1994 */
      complete = take_char(&in, ' ') && take_name(&in, months, 12, &date.month) &&
                 take_char(&in, ' ') &&
                 (take_char(&in, ' ') ? take_digits(&in, 1, &date.day)
                                      : take_digits(&in, 2, &date.day)) &&
                 take_char(&in, ' ') && take_time(&in, &date) && take_char(&in, ' ') &&
                 take_digits(&in, 4, &date.year);
    }
    date.month++;
  }
  if (!complete || in.at != in.end || check_civil(&date) != NULL) return false;
  *seconds = to_seconds(&date);
  return true;
}

/* `Z`, `+hh`, `+hhmm`, `+hh:mm` or nothing; `*offset` in seconds east of UTC. */
static bool take_zone(cursor *in, int *offset) {
  *offset = 0;
  if (in->at == in->end || take_either(in, 'Z', 'z')) return true;
  int sign = *in->at == '-' ? -1 : 1;
  int hours;
  int minutes = 0;
  if (!take_either(in, '+', '-') || !take_digits(in, 2, &hours)) return false;
  if (in->at < in->end) {
    (void)take_char(in, ':');
    if (!take_digits(in, 2, &minutes)) return false;
  }
  if (hours > 23 || minutes > 59) return false;
  *offset = sign * (hours * 3600 + minutes * 60);
  return true;
}

/* Digits after the point, at least one. Beyond EXACT_DIGITS they are read and not counted. */
static bool take_fraction(cursor *in, int64_t *digits, int64_t *scale) {
  const char *start = in->at;
  *digits = 0;
  *scale = 1;
  for (int count = 0; in->at < in->end && is_digit(*in->at); in->at++, count++) {
    if (count < EXACT_DIGITS) {
      *digits = *digits * 10 + (*in->at - '0');
      *scale *= 10;
    }
  }
  return in->at > start;
}

/* Where the whole number of units fits a double, one division rounds once, and the result is the
** very double that the same number written in a program would be. */
static double add_fraction(int64_t seconds, int64_t digits, int64_t scale) {
  const int64_t largest_exact = INT64_C(1) << 53;
  while (scale > 1 && digits % 10 == 0) {
    digits /= 10;
    scale /= 10;
  }
  int64_t magnitude = seconds < 0 ? -seconds : seconds;
  if (magnitude < largest_exact / scale - 1) {
    return (double)(seconds * scale + digits) / (double)scale;
  }
  return (double)seconds + (double)digits / (double)scale;
}

const char *qhub_date_parse_timestamp(const char *text, size_t length, qhub_timestamp *timestamp) {
  static const char malformed[] = "is not of the form 2026-02-27 10:04:50 or 2026-02-27T10:04:50Z";
  cursor in = {text, text + length};
  civil date = {0};
  int64_t digits = 0;
  int64_t scale = 1;
  int offset;
  if (!(take_digits(&in, 4, &date.year) && take_char(&in, '-') &&
        take_digits(&in, 2, &date.month) && take_char(&in, '-') &&
        take_digits(&in, 2, &date.day) && (take_either(&in, 'T', 't') || take_char(&in, ' ')) &&
        take_time(&in, &date))) {
    return malformed;
  }
  bool has_fraction = take_either(&in, '.', ',');
  if (has_fraction && !take_fraction(&in, &digits, &scale)) return malformed;
  if (!take_zone(&in, &offset)) return "has a zone that is neither Z nor of the form +01:00";
  if (in.at != in.end) return "has text after the timestamp";
  const char *reason = check_civil(&date);
  if (reason != NULL) return reason;
  timestamp->seconds = to_seconds(&date) - offset;
  timestamp->has_fraction = has_fraction;
  timestamp->with_fraction = add_fraction(timestamp->seconds, digits, scale);
  return NULL;
}
