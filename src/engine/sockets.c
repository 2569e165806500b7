/*
** Which descriptors libcurl wants watched, and the waiting for them: by epoll on Linux, by poll
** elsewhere (or anywhere with -DQHUB_POLLER_POLL). Level-triggered: what is not handled is reported
** again.
**
** The kernel is told late: a kept connection is let go after one request and wanted again for the
** next one, and most of the time nothing changes in between: two system calls less where a small
** request needs six. That is safe only for descriptors whose end is reported, so that a new
** descriptor of the same number is not taken for the old one: those that our own callbacks open and
** close, once the connection is established (libcurl 7.88 closes the losers of a connection race
** without a word, see cf_socket_close in its cf-socket.c). All others are brought up to date at
** once.
*/
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__linux__) && !defined(QHUB_POLLER_POLL)
#define USE_EPOLL
#include <sys/epoll.h>
#endif

enum { SMALLEST_CAPACITY = 64, LONGEST_WAIT_MS = 60 * 1000 };

/* Rounded up: to wake up before the deadline would mean to spin until it. */
static int milliseconds(double seconds) {
  if (seconds <= 0) return 0;
  double ms = seconds * 1000.0;
  return ms < LONGEST_WAIT_MS ? (int)ms + 1 : LONGEST_WAIT_MS;
}

#ifdef USE_EPOLL

_Static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT, "an event has one number");
_Static_assert(POLLERR == EPOLLERR && POLLHUP == EPOLLHUP, "an event has one number");

bool qhub_sockets_open(qhub_sockets *sockets) {
  sockets->first_dirty = -1;
  sockets->fd = epoll_create1(EPOLL_CLOEXEC);
  return sockets->fd >= 0;
}

/* Watches `fd` for `events` (0: not at all). 0, or an errno value. */
static int watch(const qhub_sockets *sockets, int fd, int events) {
  struct epoll_event event = {.events = (uint32_t)events, .data.fd = fd};
  if (events == 0) {
    (void)epoll_ctl(sockets->fd, EPOLL_CTL_DEL, fd, &event); /* it may be closed */
    return 0;
  }
  bool is_known = sockets->polled[fd].events != 0;
  if (epoll_ctl(sockets->fd, is_known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) == 0) return 0;
  if (errno != EEXIST && errno != ENOENT) return errno;
  /* What is known is older than the descriptor: it was closed and opened anew. */
  if (epoll_ctl(sockets->fd, is_known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) == 0) return 0;
  return errno;
}

int qhub_sockets_wait(qhub_sockets *sockets, double seconds, struct pollfd *ready) {
  struct epoll_event events[QHUB_BATCH];
  int count = epoll_wait(sockets->fd, events, QHUB_BATCH, milliseconds(seconds));
  for (int i = 0; i < count; i++) {
    ready[i].fd = events[i].data.fd;
    ready[i].revents = (short)events[i].events;
  }
  return count;
}

#else

bool qhub_sockets_open(qhub_sockets *sockets) {
  sockets->first_dirty = -1;
  sockets->fd = -1;
  return true;
}

/* poll() skips negative descriptors. */
static int watch(const qhub_sockets *sockets, int fd, int events) {
  sockets->polled[fd].fd = events != 0 ? fd : -1;
  return 0;
}

int qhub_sockets_wait(qhub_sockets *sockets, double seconds, struct pollfd *ready) {
  size_t used = sockets->capacity;
  while (used > 0 && sockets->polled[used - 1].fd < 0) used--; /* the limit is that of open files */
  int left = poll(sockets->polled, (nfds_t)used, milliseconds(seconds));
  int count = left < 0 ? -1 : 0;
  for (struct pollfd *each = sockets->polled; left > 0 && count < QHUB_BATCH; each++) {
    if (each->revents == 0) continue;
    left--;
    /* Closed without notice: it would be reported forever. */
    if ((each->revents & POLLNVAL) != 0) {
      *each = (struct pollfd){.fd = -1};
    } else {
      ready[count++] = *each;
    }
  }
  return count;
}

#endif

void qhub_sockets_close(qhub_sockets *sockets) {
  if (sockets->fd >= 0) close(sockets->fd);
  free(sockets->table);
  free(sockets->polled);
  *sockets = (qhub_sockets){.fd = -1, .first_dirty = -1};
}

bool qhub_sockets_reserve(qhub_sockets *sockets, int fd) {
  size_t capacity = sockets->capacity > 0 ? sockets->capacity : SMALLEST_CAPACITY;
  if ((size_t)fd < sockets->capacity) return true;
  while (capacity <= (size_t)fd) capacity *= 2;
  struct pollfd *polled = realloc(sockets->polled, capacity * sizeof *polled);
  if (polled == NULL) return false;
  sockets->polled = polled;
  qhub_socket *table = realloc(sockets->table, capacity * sizeof *table);
  if (table == NULL) return false;
  sockets->table = table;
  for (; sockets->capacity < capacity; sockets->capacity++) {
    polled[sockets->capacity] = (struct pollfd){.fd = -1};
    table[sockets->capacity] = (qhub_socket){.multi = NULL};
  }
  return true;
}

static void mark(qhub_sockets *sockets, int fd) {
  qhub_socket *socket = &sockets->table[fd];
  if (socket->dirty) return;
  socket->dirty = true;
  socket->next_dirty = sockets->first_dirty;
  sockets->first_dirty = fd;
}

void qhub_sockets_opened(qhub_sockets *sockets, int fd) {
  qhub_socket *socket = &sockets->table[fd];
  sockets->polled[fd].events = 0;
  socket->kind = QHUB_SOCKET_OPENED;
  if (socket->wanted != 0) mark(sockets, fd); /* libcurl still counts on what it said before */
}

/* Brings one descriptor up to date. One that is closed already (EBADF) is libcurl's affair: it has
** closed it, and will say so. */
static void update(qhub_sockets *sockets, int fd) {
  const qhub_socket *socket = &sockets->table[fd];
  if (socket->wanted == sockets->polled[fd].events) return;
  int failure = watch(sockets, fd, socket->wanted);
  sockets->polled[fd].events = socket->wanted;
  if (failure != 0) sockets->polled[fd].events = 0;
  if (failure != 0 && failure != EBADF) socket->multi->broken = true;
}

void qhub_sockets_closing(qhub_sockets *sockets, int fd) {
  sockets->table[fd].wanted = 0;
  update(sockets, fd);
  sockets->table[fd].kind = QHUB_SOCKET_FOREIGN;
}

void qhub_sockets_want(qhub_sockets *sockets, qhub_multi *multi, int fd, int events) {
  if (!qhub_sockets_reserve(sockets, fd)) {
    multi->broken = true;
    return;
  }
  qhub_socket *socket = &sockets->table[fd];
  bool is_readable = (events & POLLIN) != 0;
  socket->multi = multi;
  socket->wanted = (short)events;
  if (is_readable && socket->kind == QHUB_SOCKET_OPENED) socket->kind = QHUB_SOCKET_ESTABLISHED;
  if (events == 0 && socket->kind != QHUB_SOCKET_ESTABLISHED) {
    update(sockets, fd);
  } else if (events != sockets->polled[fd].events) {
    mark(sockets, fd);
  }
}

void qhub_sockets_flush(qhub_sockets *sockets) {
  while (sockets->first_dirty >= 0) {
    int fd = sockets->first_dirty;
    sockets->first_dirty = sockets->table[fd].next_dirty;
    sockets->table[fd].dirty = false;
    update(sockets, fd);
  }
}
