/* Readiness of descriptors by poll(): see poller.h. */
#include "poller.h"

#ifdef QHUB_USE_POLL

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

enum { SMALLEST_CAPACITY = 16, LONGEST_WAIT_MS = 60 * 1000 };

void qhub_poller_init(qhub_poller *poller) {
  poller->fd = -1;
  poller->watched = NULL;
  poller->count = 0;
  poller->capacity = 0;
}

int qhub_poller_open(qhub_poller *poller) {
  (void)poller;
  return 0;
}

void qhub_poller_close(qhub_poller *poller) {
  free(poller->watched);
  qhub_poller_init(poller);
}

static struct pollfd *find(qhub_poller *poller, int fd) {
  for (size_t i = 0; i < poller->count; i++) {
    if (poller->watched[i].fd == fd) return &poller->watched[i];
  }
  return NULL;
}

static struct pollfd *append(qhub_poller *poller, int fd) {
  if (poller->count == poller->capacity) {
    size_t capacity = poller->capacity > 0 ? poller->capacity * 2 : SMALLEST_CAPACITY;
    struct pollfd *watched = realloc(poller->watched, capacity * sizeof *watched);
    if (watched == NULL) return NULL;
    poller->watched = watched;
    poller->capacity = capacity;
  }
  struct pollfd *entry = &poller->watched[poller->count++];
  entry->fd = fd;
  entry->revents = 0;
  return entry;
}

int qhub_poller_set(qhub_poller *poller, int fd, unsigned before, unsigned events) {
  (void)before;
  struct pollfd *entry = find(poller, fd);
  if (events == 0) {
    if (entry != NULL) *entry = poller->watched[--poller->count];
    return 0;
  }
  if (entry == NULL) entry = append(poller, fd);
  if (entry == NULL) return ENOMEM;
  int wanted = 0;
  if ((events & QHUB_READABLE) != 0) wanted |= POLLIN;
  if ((events & QHUB_WRITABLE) != 0) wanted |= POLLOUT;
  entry->events = (short)wanted;
  return 0;
}

/* Rounded up: to wake up before the deadline would mean to spin until it. */
static int milliseconds(double seconds) {
  if (seconds <= 0) return 0;
  double ms = seconds * 1000.0;
  return ms < LONGEST_WAIT_MS ? (int)ms + 1 : LONGEST_WAIT_MS;
}

/* A descriptor that was closed without notice reports POLLNVAL forever: it is dropped. */
static void drop_closed(qhub_poller *poller) {
  for (size_t i = poller->count; i > 0; i--) {
    if ((poller->watched[i - 1].revents & POLLNVAL) != 0) {
      poller->watched[i - 1] = poller->watched[--poller->count];
    }
  }
}

int qhub_poller_wait(qhub_poller *poller, double seconds, qhub_readiness *ready, int room) {
  int found = poll(poller->watched, (nfds_t)poller->count, milliseconds(seconds));
  if (found < 0) return -1;
  int count = 0;
  bool closed = false;
  for (size_t i = 0; i < poller->count && found > 0 && count < room; i++) {
    int revents = poller->watched[i].revents;
    if (revents == 0) continue;
    found--;
    if ((revents & POLLNVAL) != 0) {
      closed = true;
      continue;
    }
    ready[count].fd = poller->watched[i].fd;
    ready[count].events = 0;
    if ((revents & POLLIN) != 0) ready[count].events |= QHUB_READABLE;
    if ((revents & POLLOUT) != 0) ready[count].events |= QHUB_WRITABLE;
    if ((revents & (POLLERR | POLLHUP)) != 0) ready[count].events |= QHUB_BROKEN;
    count++;
  }
  if (closed) drop_closed(poller);
  return count;
}

#else
typedef int qhub_poller_poll_unused; /* ISO C wants a declaration in every file */
#endif
