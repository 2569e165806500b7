/* Readiness of descriptors by epoll: see poller.h. */
#include "poller.h"

#ifdef QHUB_USE_EPOLL

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { BATCH = 64, LONGEST_WAIT_MS = 60 * 1000 };

void qhub_poller_init(qhub_poller *poller) {
  poller->fd = -1;
  poller->watched = NULL;
  poller->count = 0;
  poller->capacity = 0;
}

int qhub_poller_open(qhub_poller *poller) {
  poller->fd = epoll_create1(EPOLL_CLOEXEC);
  return poller->fd >= 0 ? 0 : errno;
}

void qhub_poller_close(qhub_poller *poller) {
  if (poller->fd >= 0) close(poller->fd);
  poller->fd = -1;
}

int qhub_poller_set(qhub_poller *poller, int fd, unsigned before, unsigned events) {
  struct epoll_event event = {0};
  if ((events & QHUB_READABLE) != 0) event.events |= EPOLLIN;
  if ((events & QHUB_WRITABLE) != 0) event.events |= EPOLLOUT;
  event.data.fd = fd;
  if (events == 0) {
    if (epoll_ctl(poller->fd, EPOLL_CTL_DEL, fd, &event) == 0) return 0;
    return errno == ENOENT || errno == EBADF ? 0 : errno;
  }
  int first = before == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (epoll_ctl(poller->fd, first, fd, &event) == 0) return 0;
  /* The caller's memory may be older than the descriptor: it was closed and opened anew. */
  if (first == EPOLL_CTL_ADD && errno == EEXIST) {
    return epoll_ctl(poller->fd, EPOLL_CTL_MOD, fd, &event) == 0 ? 0 : errno;
  }
  if (first == EPOLL_CTL_MOD && errno == ENOENT) {
    return epoll_ctl(poller->fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
  }
  return errno;
}

/* Rounded up: to wake up before the deadline would mean to spin until it. */
static int milliseconds(double seconds) {
  if (seconds <= 0) return 0;
  double ms = seconds * 1000.0;
  return ms < LONGEST_WAIT_MS ? (int)ms + 1 : LONGEST_WAIT_MS;
}

int qhub_poller_wait(qhub_poller *poller, double seconds, qhub_readiness *ready, int room) {
  struct epoll_event events[BATCH];
  int most = room < BATCH ? room : BATCH;
  int count = epoll_wait(poller->fd, events, most, milliseconds(seconds));
  for (int i = 0; i < count; i++) {
    ready[i].fd = events[i].data.fd;
    ready[i].events = 0;
    if ((events[i].events & EPOLLIN) != 0) ready[i].events |= QHUB_READABLE;
    if ((events[i].events & EPOLLOUT) != 0) ready[i].events |= QHUB_WRITABLE;
    if ((events[i].events & (EPOLLERR | EPOLLHUP)) != 0) ready[i].events |= QHUB_BROKEN;
  }
  return count;
}

#else
typedef int qhub_poller_epoll_unused; /* ISO C wants a declaration in every file */
#endif
