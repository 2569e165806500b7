/*
** Readiness of descriptors: epoll on Linux, poll elsewhere (or anywhere with
** -DQHUB_POLLER_POLL). Exactly one of the poller_*.c files compiles to something.
**
** Level-triggered: what is not handled is reported again. The caller remembers which events a
** descriptor is registered for. A wait ends early at a signal, so that the host program's handler
** gets its turn. Knows neither Lua nor curl.
*/
#ifndef QHUB_POLLER_H
#define QHUB_POLLER_H

#include <stdbool.h>
#include <stddef.h>

#if defined(QHUB_POLLER_POLL)
#define QHUB_USE_POLL 1
#elif defined(__linux__)
#define QHUB_USE_EPOLL 1
#else
#define QHUB_USE_POLL 1
#endif

enum { QHUB_READABLE = 1, QHUB_WRITABLE = 2, QHUB_BROKEN = 4 /* reported only */ };

typedef struct {
  int fd;
  unsigned events;
} qhub_readiness;

struct pollfd;

typedef struct {
  int fd; /* of the kernel's queue; -1: closed, or the poll back end, which has none */
  struct pollfd *watched; /* poll back end only: owned array */
  size_t count;
  size_t capacity;
} qhub_poller;

/* A closed poller; acquires nothing. */
void qhub_poller_init(qhub_poller *poller);

/* Opens it. 0, or an errno value. */
int qhub_poller_open(qhub_poller *poller);

/* Closes it. Idempotent. */
void qhub_poller_close(qhub_poller *poller);

/* Changes what `fd` is watched for from `before` to `events` (QHUB_READABLE | QHUB_WRITABLE; 0:
** not at all). A closed descriptor is not an error when `events` is 0. 0, or an errno
** value. */
int qhub_poller_set(qhub_poller *poller, int fd, unsigned before, unsigned events);

/* Waits at most `seconds` (0: polls only). Fills at most `room` entries; returns how many, or -1
** when a signal ended the wait or the wait failed. */
int qhub_poller_wait(qhub_poller *poller, double seconds, qhub_readiness *ready, int room);

#endif
