/*
** Numbers as text: see number.h.
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
#include "number.h"

#include "ascii.h"
#include "number_powers.h"

#include <assert.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static_assert(DBL_MANT_DIG == 53 && DBL_MAX_EXP == 1024 && sizeof(double) == sizeof(uint64_t),
              "doubles must be IEEE 754 binary64");

enum {
  FRACTION_BITS = 52,
  EXPONENT_MASK = 0x7FF,
  EXPONENT_BIAS = 1075, /* v = c * 2^(biased exponent - 1075) */
  FIXED_LOWEST = -4,    /* decimal exponents that are written without "e" */
  FIXED_HIGHEST = 15
};

typedef struct {
  uint64_t digits;
  int exponent; /* the value is digits * 10^exponent */
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
static inline wide multiply(uint64_t a, uint64_t b) {
#if defined(__SIZEOF_INT128__)
  __extension__ typedef unsigned __int128 product;
  product ab = (product)a * b;
  return (wide){(uint64_t)(ab >> 64), (uint64_t)ab};
#else
  uint64_t a0 = a & 0xFFFFFFFFu, a1 = a >> 32, b0 = b & 0xFFFFFFFFu, b1 = b >> 32;
  uint64_t low = a0 * b0;
  uint64_t middle = a1 * b0 + (low >> 32);
  uint64_t other = a0 * b1 + (middle & 0xFFFFFFFFu);
  return (wide){a1 * b1 + (middle >> 32) + (other >> 32), (other << 32) | (low & 0xFFFFFFFFu)};
#endif
}

/* power * factor = upper * 2^64 + *lowest */
static inline wide multiply_wide(wide power, uint64_t factor, uint64_t *lowest) {
  wide below = multiply(power.low, factor);
  wide upper = multiply(power.high, factor);
  upper.low += below.high;
  upper.high += upper.low < below.high;
  *lowest = below.low;
  return upper;
}

/* 10^k, scaled as number_powers.h says. */
static inline wide power_of_ten(int k) {
  unsigned steps = (unsigned)(k - POWERS_FIRST);
  uint64_t rest;
  wide power = powers_of_ten[steps / POWERS_STEP];
  power = multiply_wide(power, powers_of_five[steps % POWERS_STEP], &rest);
  if ((power.high >> 63) == 0) {
    power.high = power.high << 1 | power.low >> 63;
    power.low = power.low << 1 | rest >> 63;
    rest <<= 1;
  }
  power.low += rest != 0;
  power.high += rest != 0 && power.low == 0;
  return power;
}

/* factor * power * 2^-127 / 2, scaled by the shift in `factor`, rounded to odd. */
static inline uint64_t scale_to_odd(wide power, uint64_t factor) {
  uint64_t lowest;
  wide product = multiply_wide(power, factor, &lowest);
  return product.high | (product.low > 1);
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

  wide power = power_of_ten(-k);
  uint64_t lower = scale_to_odd(power, (4 * c - 2 + lower_is_closer) << shift);
  uint64_t value = scale_to_odd(power, (4 * c) << shift);
  uint64_t upper = scale_to_odd(power, (4 * c + 2) << shift);
  /* Ties go to the even mantissa, so the ends of the interval belong to even ones only. */
  lower += c & 1;
  upper -= c & 1;

  uint64_t below = value / 4;
  uint64_t tens = below / 10;
  bool lower_ten_fits = lower <= 40 * tens;
  bool upper_ten_fits = 40 * tens + 40 <= upper;
  if (lower_ten_fits != upper_ten_fits) {
    return (decimal){tens + upper_ten_fits, k + 1};
  }
  bool below_fits = lower <= 4 * below;
  bool above_fits = 4 * below + 4 <= upper;
  if (below_fits != above_fits) return (decimal){below + above_fits, k};
  uint64_t middle = 4 * below + 2;
  bool round_up = value > middle || (value == middle && (below & 1) != 0);
  return (decimal){below + round_up, k};
}

/* Writes the digits of `value` so that they end before `end`; returns where they begin. */
static char *write_digits_before(uint64_t value, char *end) {
  do {
    *--end = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  return end;
}

size_t qhub_number_write_integer(int64_t value, char *out) {
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
  return out + qhub_number_write_integer(exponent < 0 ? -exponent : exponent, out);
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

size_t qhub_number_write(double value, char *out) {
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

/* A literal taken apart. */
typedef struct {
  const char *digits; /* its first digit */
  const char *end;
  uint64_t mantissa; /* all digits as one integer, when there are few enough */
  ptrdiff_t count;   /* of all digits */
  int64_t exponent;  /* the value is mantissa * 10^exponent */
  bool negative;
  bool is_integer; /* neither fraction nor exponent */
  bool malformed;  /* at `end` */
} literal_parts;

/* At least one digit is wanted. */
static const char *read_digits(const char *text, literal_parts *parts) {
  const char *start = text;
  uint64_t mantissa = parts->mantissa;
  for (; qhub_is_digit(*text); text++) mantissa = mantissa * 10 + (uint64_t)(*text - '0');
  parts->mantissa = mantissa;
  parts->count += text - start;
  parts->malformed = text == start;
  return text;
}

/* Saturates far beyond what the length of a text in memory can make up for. */
static const char *read_exponent(const char *text, literal_parts *parts) {
  int64_t exponent = 0;
  bool negative = *text == '-';
  if (*text == '-' || *text == '+') text++;
  const char *start = text;
  for (; qhub_is_digit(*text); text++) {
    if (exponent < INT64_C(100000000000000000)) exponent = exponent * 10 + (*text - '0');
  }
  parts->malformed = text == start;
  parts->exponent += negative ? -exponent : exponent;
  return text;
}

static literal_parts take_apart(const char *literal) {
  literal_parts parts = {.negative = *literal == '-', .is_integer = true};
  parts.digits = literal + parts.negative;
  const char *text = read_digits(parts.digits, &parts);
  if (*parts.digits == '0' && parts.count > 1) {
    parts.malformed = true;
    text = parts.digits + 1;
  }
  if (!parts.malformed && *text == '.') {
    ptrdiff_t integer_digits = parts.count;
    text = read_digits(text + 1, &parts);
    parts.exponent = integer_digits - parts.count;
    parts.is_integer = false;
  }
  if (!parts.malformed && (*text == 'e' || *text == 'E')) {
    text = read_exponent(text + 1, &parts);
    parts.is_integer = false;
  }
  parts.end = text;
  return parts;
}

/* mantissa * 10^exponent, rounded to the nearest double, by one multiplication with the 128-bit
** power: the idea of Daniel Lemire, "Number parsing at a gigabyte per second" (2021). The power may
** be too large by less than 3 units in its last place, the product therefore by less than 3 units
** of its middle word. This matters only where the product lies on the middle between two doubles
** or less than that above it. Then, and where the powers end, returns false; they end so far above
** the subnormal doubles that none comes out here. */
static bool multiply_out(uint64_t mantissa, int64_t exponent, double *result) {
  enum { EXACT_POWERS = 55 }; /* 10^0 to 10^55 fit 128 bits */
  if (mantissa == 0) {
    *result = 0.0;
    return true;
  }
  if (exponent < POWERS_FIRST || exponent > DBL_MAX_10_EXP) return false;
  int k = (int)exponent;
  int leading_zeros = __builtin_clzll(mantissa);
  uint64_t low;
  wide product = multiply_wide(power_of_ten(k), mantissa << leading_zeros, &low);
  uint64_t high = product.high, middle = product.low;

  int cut = (high >> 63) != 0 ? 11 : 10; /* leaves 53 bits */
  int biased = cut + floor_log2_of_power_of_10(k) + 1 - leading_zeros + EXPONENT_BIAS;
  if (biased >= EXPONENT_MASK) return false;
  uint64_t rest = high & ((UINT64_C(1) << cut) - 1);
  uint64_t half = UINT64_C(1) << (cut - 1);
  bool exact = k >= 0 && k <= EXACT_POWERS;
  if (rest == half && middle < 3 && !exact) return false;
  bool above_half = rest > half || (rest == half && (middle | low) != 0);
  uint64_t c = high >> cut;
  c += above_half || (rest == half && (c & 1) != 0);
  /* Adding, the carry of a mantissa that became 2^53 moves into the exponent, up to infinity. */
  uint64_t bits = ((uint64_t)(biased - 1) << FRACTION_BITS) + c;
  memcpy(result, &bits, sizeof bits);
  return true;
}

/* The magnitude of a literal, by strtod as the locale "C" has it, in this thread only. Infinite as
** well when that locale cannot be had. */
static double convert(const char *digits) {
  locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (plain == (locale_t)0) return HUGE_VAL;
  locale_t before = uselocale(plain);
  double magnitude = strtod(digits, NULL);
  (void)uselocale(before);
  freelocale(plain);
  return magnitude;
}

const char *qhub_number_read(const char *literal, qhub_number *number) {
  literal_parts parts = take_apart(literal);
  if (parts.malformed) {
    number->kind = QHUB_NUMBER_MALFORMED;
    return parts.end;
  }
  uint64_t limit = (uint64_t)INT64_MAX + parts.negative;
  if (parts.is_integer && parts.count <= 19 && parts.mantissa <= limit &&
      !(parts.negative && parts.mantissa == 0)) {
    number->kind = QHUB_NUMBER_INTEGER;
    number->integer = (int64_t)(parts.negative ? 0 - parts.mantissa : parts.mantissa);
    return parts.end;
  }
  double magnitude;
  bool is_exact = parts.count <= 19; /* so many digits always fit the mantissa's 64 bits */
  if (!is_exact || !multiply_out(parts.mantissa, parts.exponent, &magnitude)) {
    magnitude = convert(parts.digits);
  }
  number->kind = isinf(magnitude) ? QHUB_NUMBER_TOO_LARGE : QHUB_NUMBER_REAL;
  number->real = parts.negative ? -magnitude : magnitude;
  return parts.end;
}
