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

#include "characters.h"
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

__extension__ typedef unsigned __int128 wide;

/* The floor of a fixed-point product with 20 bits after the point. The shift is made on a positive
** number, where C defines it. */
static int floor_of_scaled(int64_t product) {
  return (int)((product + (INT64_C(4096) << 20)) >> 20) - 4096;
}

/* power * factor = result * 2^64 + *lowest */
static inline wide multiply(wide power, uint64_t factor, uint64_t *lowest) {
  wide below = (wide)(uint64_t)power * factor;
  *lowest = (uint64_t)below;
  return (power >> 64) * factor + (below >> 64);
}

/* 10^k, scaled as number_powers.h says: one that is kept there, times a power of five. */
static inline wide power_of_ten(int k) {
  unsigned steps = (unsigned)(k - POWERS_FIRST);
  const uint64_t *halves = powers_of_ten[steps / POWERS_STEP];
  uint64_t rest, five = 1;
  for (steps %= POWERS_STEP; steps > 0; steps--) five *= 5;
  wide power = multiply((wide)halves[0] << 64 | halves[1], five << __builtin_clzll(five), &rest);
  if ((power >> 127) == 0) {
    power = power << 1 | rest >> 63;
    rest <<= 1;
  }
  return power + (rest != 0);
}

/* factor * power * 2^-127 / 2, scaled by the shift in `factor`, rounded to odd. */
static inline uint64_t scale_to_odd(wide power, uint64_t factor) {
  uint64_t lowest;
  wide product = multiply(power, factor, &lowest);
  return (uint64_t)(product >> 64) | ((uint64_t)product > 1);
}

/* Shortest digits of a positive double given by its fields. */
static decimal shortest(uint64_t fraction, int biased_exponent) {
  bool subnormal = biased_exponent == 0;
  uint64_t c = subnormal ? fraction : fraction | (UINT64_C(1) << FRACTION_BITS);
  int q = (subnormal ? 1 : biased_exponent) - EXPONENT_BIAS;
  /* Below a power of two the doubles lie twice as dense. */
  bool lower_is_closer = fraction == 0 && biased_exponent > 1;
  /* floor(q * log10(2)), or floor(q * log10(2) + log10(3/4)), and floor(-k * log2(10)): the
  ** constants are exact for every q and k that a double can ask for. */
  int k = floor_of_scaled(INT64_C(315653) * q - (lower_is_closer ? 131007 : 0));
  int shift = q + floor_of_scaled(INT64_C(3483294) * -k) + 1;

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

/* Lays out `count` digits; the value is 0.DIGITS * 10^point. Zeros are put around the digits, where
** there is room for QHUB_NUMBER_SIZE bytes on both sides. */
static char *write_layout(char *digits, int count, int point, char *out) {
  int exponent = point - 1;
  bool is_fixed = exponent >= FIXED_LOWEST && exponent <= FIXED_HIGHEST;
  if (!is_fixed) point = 1;
  for (; point < 1; point++, count++) *--digits = '0';
  while (is_fixed && count <= point) digits[count++] = '0';
  memcpy(out, digits, (size_t)point);
  out += point;
  if (count > point) {
    *out++ = '.';
    memcpy(out, digits + point, (size_t)(count - point));
    out += count - point;
  }
  return is_fixed ? out : write_exponent(exponent, out);
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
  char scratch[3 * QHUB_NUMBER_SIZE];
  char *end = scratch + sizeof scratch - QHUB_NUMBER_SIZE;
  char *digits = write_digits_before(result.digits, end);
  int count = (int)(end - digits);
  return (size_t)(write_layout(digits, count, count + result.exponent, out) - start);
}

/* The nearest double, by strtod. It stops before the end where the host program's locale has
** another decimal point: then once more as the locale "C" has it, in this thread only. Infinite as
** well when that locale cannot be had. */
static double convert(const char *literal, const char *end) {
  char *stop;
  double value = strtod(literal, &stop);
  if (stop == end) return value;
  locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (plain == (locale_t)0) return HUGE_VAL;
  locale_t before = uselocale(plain);
  value = strtod(literal, NULL);
  (void)uselocale(before);
  freelocale(plain);
  return value;
}

/* mantissa * 10^exponent, rounded to the nearest double, by one multiplication with the 128-bit
** power: the idea of Daniel Lemire, "Number parsing at a gigabyte per second" (2021). The power is
** less than 3 units of its last place too large, the product therefore less than 6. This matters
** only where the product lies on the middle between two doubles or less than that above it. Then,
** and where the powers end, returns false. They end so far above the subnormal doubles that none
** comes out here. */
static bool multiply_out(uint64_t mantissa, int64_t exponent, double *result) {
  *result = 0;
  if (mantissa == 0) return true;
  if (exponent < POWERS_FIRST || exponent > DBL_MAX_10_EXP) return false;
  int k = (int)exponent;
  int shift = __builtin_clzll(mantissa);
  uint64_t lowest;
  wide product = multiply(power_of_ten(k), mantissa << shift, &lowest);
  if ((product >> 127) == 0) {
    product <<= 1;
    shift++;
  }
  wide rest = product << DBL_MANT_DIG, half = (wide)1 << 127;
  int biased = floor_of_scaled(INT64_C(3483294) * k) - shift + 12 + EXPONENT_BIAS;
  if (rest - half < (wide)6 << DBL_MANT_DIG || biased >= EXPONENT_MASK) return false;
  /* The carry of a mantissa that became 2^53 moves into the exponent, up to infinity. */
  uint64_t c = (uint64_t)(product >> (128 - DBL_MANT_DIG)) + (rest >= half);
  uint64_t bits = ((uint64_t)(biased - 1) << FRACTION_BITS) + c;
  memcpy(result, &bits, sizeof bits);
  return true;
}

/* Moves `*end` past digits and appends them to `*integer`; returns how many there are. */
static inline ptrdiff_t read_digits(const char **end, uint64_t *integer) {
  const char *first = *end, *text = first;
  for (; qhub_is_digit(*text); text++) *integer = *integer * 10 + (uint64_t)(*text - '0');
  *end = text;
  return text - first;
}

const char *qhub_number_read(const char *literal, qhub_number *number) {
  enum { MOST_DIGITS = 19, MOST_EXPONENT_DIGITS = 9 }; /* that always fit 64 bits; are enough */
  bool negative = *literal == '-';
  const char *first = literal + negative;
  const char *end = first;
  uint64_t mantissa = 0, exponent = 0;
  ptrdiff_t digits = read_digits(&end, &mantissa), decimals = 0, exponent_digits = 0;
  number->kind = QHUB_NUMBER_MALFORMED;
  if (digits == 0) return end;
  if (*first == '0' && digits > 1) return first + 1;
  bool is_integer = *end != '.' && *end != 'e' && *end != 'E';
  bool fits = digits <= MOST_DIGITS && mantissa <= (uint64_t)INT64_MAX + negative;
  if (is_integer && fits && !(negative && mantissa == 0)) {
    number->kind = QHUB_NUMBER_INTEGER;
    number->integer = (int64_t)(negative ? 0 - mantissa : mantissa);
    return end;
  }
  if (*end == '.') {
    end++;
    decimals = read_digits(&end, &mantissa);
    if (decimals == 0) return end;
    digits += decimals;
    /* Zeros in front of the others do not count. */
    for (const char *zero = first; *zero == '0' || *zero == '.'; zero++) digits -= *zero == '0';
  }
  if (*end == 'e' || *end == 'E') {
    bool minus = *++end == '-';
    end += minus || *end == '+';
    exponent_digits = read_digits(&end, &exponent);
    if (exponent_digits == 0) return end;
    if (minus) exponent = 0 - exponent;
  }
  bool few = digits <= MOST_DIGITS && exponent_digits <= MOST_EXPONENT_DIGITS;
  if (!few || !multiply_out(mantissa, (int64_t)exponent - decimals, &number->real)) {
    number->real = convert(first, end);
  }
  number->kind = isinf(number->real) ? QHUB_NUMBER_TOO_LARGE : QHUB_NUMBER_REAL;
  if (negative) number->real = -number->real;
  return end;
}
