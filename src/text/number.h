/*
** Numbers as text, both ways, independent of the host program's locale: the shortest digits that
** read back as the same double, integers, and the nearest double of a decimal literal.
** Assumes IEEE 754 doubles and a correctly rounding strtod (the one of every libc we build on).
** Knows neither Lua nor JSON's grammar beyond the form of a number.
*/
#ifndef QHUB_NUMBER_H
#define QHUB_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* Room that the writers below need; nothing is NUL-terminated. */
enum { QHUB_NUMBER_SIZE = 32 };

/* Writes a finite `value`: the fewest digits that read back as the same bits (of those, the ones
** nearest to it), always with a fraction or an exponent: 1.0, -0.0, 0.001, 1e+100.
** Returns the number of bytes. */
size_t qhub_number_write(double value, char *out);

/* Writes `value` in decimal; returns the number of bytes. */
size_t qhub_number_write_integer(int64_t value, char *out);

typedef enum {
  QHUB_NUMBER_INTEGER, /* neither fraction nor exponent, fits 64 bits, not "-0" */
  QHUB_NUMBER_REAL,
  QHUB_NUMBER_TOO_LARGE, /* beyond the largest double */
  QHUB_NUMBER_MALFORMED  /* not as JSON has it: a digit is missing, or a 0 stands in front */
} qhub_number_kind;

typedef struct {
  qhub_number_kind kind;
  int64_t integer; /* when it is one */
  double real;     /* when it is one: the nearest double; -0.0 for "-0" */
} qhub_number;

/* Reads a number as JSON has it, of any length, and returns where it ends or is malformed.
** A byte that belongs to no number must follow (such as the NUL after a text). */
const char *qhub_number_read(const char *literal, qhub_number *number);

#endif
