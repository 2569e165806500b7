/*
** Numbers as text, both ways, whatever the locale of the host program: the shortest digits that
** read back as the same double, integers, and the nearest double of a decimal literal.
** Assumes IEEE 754 doubles and a correctly rounding strtod (the one of every libc we build on).
** Knows neither Lua nor JSON's grammar beyond the form of a number.
*/
#ifndef QHUB_DOUBLE_H
#define QHUB_DOUBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room that the writers below need; nothing is NUL-terminated. */
enum { QHUB_NUMBER_SIZE = 32 };

/* Writes a finite `value`: the fewest digits that read back as the same bits (of those, the ones
** nearest to it), always with a fraction or an exponent: 1.0, -0.0, 0.001, 1e+100.
** Returns the number of bytes. */
size_t qhub_double_write(double value, char *out);

/* Writes `value` in decimal; returns the number of bytes. */
size_t qhub_integer_write(int64_t value, char *out);

typedef struct {
  bool is_integer;
  int64_t integer;           /* when it is one */
  double real;               /* else */
} qhub_number;

/* Reads a number that is written as JSON has it, whatever its length, and returns where it ends.
** It is an integer when it has neither fraction nor exponent, fits 64 bits and is not "-0"; else
** the nearest double: infinite when it is beyond the largest one, -0.0 for "-0". A byte that
** belongs to no number must follow (such as the NUL behind a text). */
const char *qhub_number_read(const char *literal, qhub_number *number);

#endif
