/* Random bits: see random.h. */
#include "random.h"

#include <errno.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

int qhub_random_bits(uint64_t *bits) {
  return getentropy(bits, sizeof *bits) == 0 ? 0 : errno;
}
