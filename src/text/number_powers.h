/*
** Powers of ten for number.c, as 128-bit integers g >= 10^k * 2^(127 - floor(log2(10^k))).
**
** Every 27th is kept, as the smallest such g; the others are one of these times a power of five,
** which fits 64 bits up to the 27th. Rounded up twice, they are less than 3 too large; where g can
** be exact (k from 0 to 55), it is. Generated, with exact integers, by
**
**   for k in range(-297, 325, 27):
**       n, d = (10**k, 1) if k >= 0 else (1, 10**-k)
**       e = n.bit_length() - d.bit_length()         # floor(log2(n / d)), or one more
**       if (n << max(-e, 0)) < (d << max(e, 0)): e -= 1
**       s = 127 - e
**       g = -((-(n << max(s, 0))) // (d << max(-s, 0)))
**       print("{0x%016x, 0x%016x}," % (g >> 64, g & (2**64 - 1)))
**
** (Python; two entries to a line). spec/core/json_powers_spec.lua checks each.
*/
#ifndef QHUB_NUMBER_POWERS_H
#define QHUB_NUMBER_POWERS_H

#include <stdint.h>

enum { POWERS_FIRST = -297, POWERS_LAST = 324, POWERS_STEP = 27 };

/* The upper half first. */
static const uint64_t powers_of_ten[(POWERS_LAST - POWERS_FIRST) / POWERS_STEP + 1][2] = {
  {0xa76c582338ed2621, 0xaf2af2b80af6f24f}, {0x873e4f75e2224e68, 0x5a7744a6e804a292},
  {0xda7f5bf590966848, 0xaf39a475506a899f}, {0xb080392cc4349dec, 0xbd8d794d96aacfb4},
  {0x8e938662882af53e, 0x547eb47b7282ee9d}, {0xe65829b3046b0afa, 0x0cb4a5a3112a5113},
  {0xba121a4650e4ddeb, 0x92f34d62616ce414}, {0x964e858c91ba2655, 0x3a6a07f8d510f870},
  {0xf2d56790ab41c2a2, 0xfae27299423fb9c4}, {0xc428d05aa4751e4c, 0xaa97e14c3c26b887},
  {0x9e74d1b791e07e48, 0x775ea264cf55347e}, {0x8000000000000000, 0x0000000000000000},
  {0xcecb8f27f4200f3a, 0x0000000000000000}, {0xa70c3c40a64e6c51, 0x999090b65f67d924},
  {0x86f0ac99b4e8dafd, 0x69a028bb3ded71a4}, {0xda01ee641a708de9, 0xe80e6f4820cc9496},
  {0xb01ae745b101e9e4, 0x5ec05dcff72e7f90}, {0x8e41ade9fbebc27d, 0x14588f13be847308},
  {0xe5d3ef282a242e81, 0x8f1668c8a86da5fb}, {0xb9a74a0637ce2ee1, 0x6d953e2bd7173693},
  {0x95f83d0a1fb69cd9, 0x4abdaf101564f98f}, {0xf24a01a73cf2dccf, 0xbc633b39673c8ced},
  {0xc3b8358109e84f07, 0x0a862f80ec4700c9}, {0x9e19db92b4e31ba9, 0x6c07a2c26a8346d2},
};

#endif
