/*
** Random bits from the kernel: no state to share between threads, none to seed. Knows neither Lua
** nor curl.
*/
#ifndef QHUB_RANDOM_H
#define QHUB_RANDOM_H

#include <stdint.h>

/* Sets `*bits` to 64 random bits. Returns 0 or an errno. */
int qhub_random_bits(uint64_t *bits);

#endif
