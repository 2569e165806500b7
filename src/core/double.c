/*
** Numbers as text: see double.h.
**
** The digits come from the algorithm in Raffaello Giulietti, "The Schubfach way to render doubles"
** (2020), restated here in its terms. A double v = c * 2^q owns the interval of decimals that round
** to it. Take the largest k with 10^k no wider than this interval: then at least one and at most
** two multiples of 10^k next to v lie inside, and at most one multiple of 10^(k+1) does. The latter
** is shorter and wins; else the nearer of the former. All comparisons are made on 4v/10^k and the
** interval's ends scaled likewise, computed with 126-bit or better powers of ten and "rounded to
** odd": the integer part with its last bit set when anything was cut off. The paper proves that
** this keeps every comparison with an even integer exact.
*/
#include "double.h"

#include "double_powers.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static_assert(DBL_MANT_DIG == 53 && DBL_MAX_EXP == 1024 && sizeof(double) == sizeof(uint64_t),
              "doubles must be IEEE 754 binary64");

enum {
  FRACTION_BITS = 52,
  EXPONENT_MASK = 0x7FF,
  EXPONENT_BIAS = 1075,      /* v = c * 2^(biased exponent - 1075) */
  FIXED_LOWEST = -4,         /* decimal exponents that are written without "e" */
  FIXED_HIGHEST = 15,
  /* No decimal of a double or of the middle between two has more digits than 767. */
  SIGNIFICANT_DIGITS = 768
};

typedef struct {
  uint64_t digits;
  int exponent;              /* the value is digits * 10^exponent */
} decimal;

/* floor(q * log10(2)), floor(q * log10(2) + log10(3/4)) and floor(k * log2(10)) as fixed-point
** products; the constants are exact for every q and k that a double can ask for. The shift is made
** on a positive number, where C defines it. */
static int floor_of_scaled(int64_t product) {
  return (int)((product + (INT64_C(4096) << 20)) >> 20) - 4096;
}

static int floor_log10_of_power_of_2(int q, bool three_quarters) {
  return floor_of_scaled(INT64_C(315653) * q - (three_quarters ? 131007 : 0));
}

static int floor_log2_of_power_of_10(int k) {
  return floor_of_scaled(INT64_C(3483294) * k);
}

/* The 128-bit product of two 64-bit factors. */
static uint64_t multiply(uint64_t a, uint64_t b, uint64_t *high) {
#if defined(__SIZEOF_INT128__)
  __extension__ typedef unsigned __int128 wide;
  wide product = (wide)a * b;
  *high = (uint64_t)(product >> 64);
  return (uint64_t)product;
#else
  uint64_t a0 = a & 0xFFFFFFFFu, a1 = a >> 32, b0 = b & 0xFFFFFFFFu, b1 = b >> 32;
  uint64_t low = a0 * b0;
  uint64_t middle = a1 * b0 + (low >> 32);
  uint64_t other = a0 * b1 + (middle & 0xFFFFFFFFu);
  *high = a1 * b1 + (middle >> 32) + (other >> 32);
  return (other << 32) | (low & 0xFFFFFFFFu);
#endif
}

/* factor * 10^k * 2^-127 / 2, scaled by the shift in `factor`, rounded to odd. */
static uint64_t scale_to_odd(int k, uint64_t factor) {
  uint64_t low_high, high_high;
  (void)multiply(powers_of_ten[k - POWERS_FIRST].low, factor, &low_high);
  uint64_t middle = multiply(powers_of_ten[k - POWERS_FIRST].high, factor, &high_high);
  middle += low_high;
  if (middle < low_high) high_high++;
  return high_high | (middle > 1);
}

/* Shortest digits of a positive double given by its fields. */
static decimal shortest(uint64_t fraction, int biased_exponent) {
  bool subnormal = biased_exponent == 0;
  uint64_t c = subnormal ? fraction : fraction | (UINT64_C(1) << FRACTION_BITS);
  int q = (subnormal ? 1 : biased_exponent) - EXPONENT_BIAS;
  /* Below a power of two the doubles lie twice as dense. */
  bool lower_is_closer = fraction == 0 && biased_exponent > 1;
  int k = floor_log10_of_power_of_2(q, lower_is_closer);
  int shift = q + floor_log2_of_power_of_10(-k) + 1;

  uint64_t lower = scale_to_odd(-k, (4 * c - 2 + lower_is_closer) << shift);
  uint64_t value = scale_to_odd(-k, (4 * c) << shift);
  uint64_t upper = scale_to_odd(-k, (4 * c + 2) << shift);
  /* Ties go to the even mantissa, so the ends of the interval belong to even ones only. */
  lower += c & 1;
  upper -= c & 1;

  uint64_t below = value / 4;
  uint64_t tens = below / 10;
  bool lower_ten_fits = lower <= 40 * tens;
  bool upper_ten_fits = 40 * tens + 40 <= upper;
  if (tens > 0 && lower_ten_fits != upper_ten_fits) {
    return (decimal){tens + upper_ten_fits, k + 1};
  }
  bool below_fits = lower <= 4 * below;
  bool above_fits = 4 * below + 4 <= upper;
  if (below_fits != above_fits) return (decimal){below + above_fits, k};
  uint64_t middle = 4 * below + 2;
  bool round_up = value > middle || (value == middle && (below & 1) != 0);
  return (decimal){below + round_up, k};
}

static const char digit_pairs[] =
  "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
  "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
  "8081828384858687888990919293949596979899";

/* Writes the digits of `value` so that they end before `end`; returns where they begin. */
static char *write_digits_before(uint64_t value, char *end) {
  while (value >= 100) {
    end -= 2;
    memcpy(end, digit_pairs + 2 * (value % 100), 2);
    value /= 100;
  }
  if (value >= 10) {
    end -= 2;
    memcpy(end, digit_pairs + 2 * value, 2);
  } else {
    *--end = (char)('0' + value);
  }
  return end;
}

size_t qhub_integer_write(int64_t value, char *out) {
  char scratch[QHUB_NUMBER_SIZE];
  char *end = scratch + sizeof scratch;
  uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  char *begin = write_digits_before(magnitude, end);
  if (value < 0) *--begin = '-';
  memcpy(out, begin, (size_t)(end - begin));
  return (size_t)(end - begin);
}

static char *write_exponent(int exponent, char *out) {
  *out++ = 'e';
  *out++ = exponent < 0 ? '-' : '+';
  return out + qhub_integer_write(exponent < 0 ? -exponent : exponent, out);
}

/* Lays out `count` digits; the value is 0.DIGITS * 10^point. */
static char *write_layout(const char *digits, int count, int point, char *out) {
  if (point - 1 < FIXED_LOWEST || point - 1 > FIXED_HIGHEST) {
    *out++ = *digits;
    if (count > 1) {
      *out++ = '.';
      memcpy(out, digits + 1, (size_t)(count - 1));
      out += count - 1;
    }
    return write_exponent(point - 1, out);
  }
  if (point <= 0) {
    memcpy(out, "0.0000", 6);
    out += 2 - point;
    memcpy(out, digits, (size_t)count);
    return out + count;
  }
  if (point >= count) {
    memcpy(out, digits, (size_t)count);
    memset(out + count, '0', (size_t)(point - count));
    out += point;
    *out++ = '.';
    *out++ = '0';
    return out;
  }
  memcpy(out, digits, (size_t)point);
  out[point] = '.';
  memcpy(out + point + 1, digits + point, (size_t)(count - point));
  return out + count + 1;
}

size_t qhub_double_write(double value, char *out) {
  char *start = out;
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  if ((bits >> 63) != 0) *out++ = '-';
  uint64_t fraction = bits & ((UINT64_C(1) << FRACTION_BITS) - 1);
  int exponent = (int)(bits >> FRACTION_BITS) & EXPONENT_MASK;
  if (fraction == 0 && exponent == 0) {
    memcpy(out, "0.0", 3);
    return (size_t)(out + 3 - start);
  }
  decimal result = shortest(fraction, exponent);
  while (result.digits % 10 == 0) {
    result.digits /= 10;
    result.exponent++;
  }
  char scratch[QHUB_NUMBER_SIZE];
  char *end = scratch + sizeof scratch;
  char *digits = write_digits_before(result.digits, end);
  int count = (int)(end - digits);
  return (size_t)(write_layout(digits, count, count + result.exponent, out) - start);
}

/* What a literal says, brought to the form that strtod reads alike in every locale: an integer
** and an exponent, no decimal point. */
typedef struct {
  char digits[SIGNIFICANT_DIGITS + QHUB_NUMBER_SIZE];
  size_t count;
  int64_t exponent;          /* the value is DIGITS * 10^exponent */
} plain_number;

/* Leading zeros are dropped. Digits beyond the ones that can matter only move the exponent, but
** one that is not zero is kept as a last "1", so that no tie is seen where there is none. */
static void take_digit(plain_number *number, char digit, bool in_fraction) {
  if (number->count > 0 || digit != '0') {
    if (number->count < SIGNIFICANT_DIGITS) {
      number->digits[number->count++] = digit;
    } else {
      if (digit != '0') number->digits[SIGNIFICANT_DIGITS - 1] = '1';
      number->exponent++;
    }
  }
  if (in_fraction) number->exponent--;
}

/* Saturates far beyond what the length of a text in memory can make up for. */
static int64_t read_exponent(const char *text, const char *end) {
  int64_t exponent = 0;
  bool negative = *text == '-';
  if (*text == '-' || *text == '+') text++;
  for (; text < end; text++) {
    if (exponent < INT64_C(100000000000000000)) exponent = exponent * 10 + (*text - '0');
  }
  return negative ? -exponent : exponent;
}

double qhub_double_read(const char *literal, size_t length) {
  const char *end = literal + length;
  bool negative = length > 0 && *literal == '-';
  bool in_fraction = false;
  plain_number number;
  number.count = 0;
  number.exponent = 0;
  for (const char *next = literal + negative; next < end; next++) {
    if (*next == '.') {
      in_fraction = true;
    } else if (*next == 'e' || *next == 'E') {
      number.exponent += read_exponent(next + 1, end);
      break;
    } else {
      take_digit(&number, *next, in_fraction);
    }
  }
  double magnitude = 0.0;
  int64_t point = number.exponent + (int64_t)number.count;
  if (number.count > 0 && point > DBL_MAX_10_EXP + 1) {
    magnitude = HUGE_VAL;
  } else if (number.count > 0 && point > DBL_MIN_10_EXP - DBL_DIG - 5) {
    char *exponent = write_exponent((int)number.exponent, number.digits + number.count);
    *exponent = '\0';
    magnitude = strtod(number.digits, NULL);
  }
  return negative ? -magnitude : magnitude;
}
