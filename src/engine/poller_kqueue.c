/* Readiness of descriptors by kqueue: see poller.h. */
#include "poller.h"

#ifdef QHUB_USE_KQUEUE

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/types.h>

#include <sys/event.h>
#include <sys/time.h>
#include <unistd.h>

enum { BATCH = 64, LONGEST_WAIT = 60 };

void qhub_poller_init(qhub_poller *poller) {
  poller->fd = -1;
  poller->watched = NULL;
  poller->count = 0;
  poller->capacity = 0;
}

int qhub_poller_open(qhub_poller *poller) {
  poller->fd = kqueue();
  if (poller->fd < 0) return errno;
  (void)fcntl(poller->fd, F_SETFD, FD_CLOEXEC);
  return 0;
}

void qhub_poller_close(qhub_poller *poller) {
  if (poller->fd >= 0) close(poller->fd);
  poller->fd = -1;
}

/* kqueue keeps reading and writing apart: one filter each. Deleting what a close took away already
** (ENOENT, EBADF) is no error. */
static int change(qhub_poller *poller, int fd, short filter, bool on) {
  struct kevent event;
  EV_SET(&event, (uintptr_t)fd, filter, on ? EV_ADD : EV_DELETE, 0, 0, NULL);
  if (kevent(poller->fd, &event, 1, NULL, 0, NULL) == 0) return 0;
  return !on && (errno == ENOENT || errno == EBADF) ? 0 : errno;
}

int qhub_poller_set(qhub_poller *poller, int fd, unsigned before, unsigned events) {
  unsigned changed = before ^ events;
  int failure = 0;
  /* Adding twice is harmless, and repairs a registration that a close took away. */
  if (((changed | events) & QHUB_READABLE) != 0) {
    failure = change(poller, fd, EVFILT_READ, (events & QHUB_READABLE) != 0);
  }
  if (failure == 0 && ((changed | events) & QHUB_WRITABLE) != 0) {
    failure = change(poller, fd, EVFILT_WRITE, (events & QHUB_WRITABLE) != 0);
  }
  return failure;
}

int qhub_poller_wait(qhub_poller *poller, double seconds, const sigset_t *mask,
                     qhub_readiness *ready, int room) {
  if (mask != NULL) {
    (void)pthread_sigmask(SIG_SETMASK, mask, NULL);
    if (seconds > QHUB_UNMASKED_WAIT) seconds = QHUB_UNMASKED_WAIT;
  }
  struct kevent events[BATCH];
  struct timespec limit = {0, 0};
  if (seconds >= LONGEST_WAIT) {
    limit.tv_sec = LONGEST_WAIT;
  } else if (seconds > 0) {
    limit.tv_sec = (time_t)seconds;
    limit.tv_nsec = (long)((seconds - (double)limit.tv_sec) * 1e9);
  }
  int count = kevent(poller->fd, NULL, 0, events, room < BATCH ? room : BATCH, &limit);
  for (int i = 0; i < count; i++) {
    ready[i].fd = (int)events[i].ident;
    ready[i].events = events[i].filter == EVFILT_READ ? QHUB_READABLE : QHUB_WRITABLE;
    if ((events[i].flags & EV_ERROR) != 0) ready[i].events |= QHUB_BROKEN;
  }
  return count;
}

#else
typedef int qhub_poller_kqueue_unused; /* ISO C wants a declaration in every file */
#endif
