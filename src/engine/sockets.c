/*
** Which descriptors libcurl wants watched, and what the poller knows of it.
**
** The kernel is told late: a kept connection is let go after one request and wanted again for the
** next one, and most of the time nothing changes in between. That is safe only for
** descriptors whose end is reported, so that a new descriptor of the same number is not taken for
** the old one: those that our own callbacks open and close, once the connection is established
** (libcurl 7.88 closes the losers of a connection race without a word, see cf_socket_close in its
** cf-socket.c). All others are brought up to date at once.
*/
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST_CAPACITY = 64 };

void qhub_sockets_init(qhub_sockets *sockets) {
  sockets->table = NULL;
  sockets->dirty = NULL;
  sockets->capacity = 0;
  sockets->dirty_count = 0;
}

void qhub_sockets_free(qhub_sockets *sockets) {
  free(sockets->table);
  free(sockets->dirty);
  qhub_sockets_init(sockets);
}

bool qhub_sockets_reserve(qhub_sockets *sockets, int fd) {
  size_t needed = (size_t)fd + 1;
  if (needed <= sockets->capacity) return true;
  size_t capacity = sockets->capacity > 0 ? sockets->capacity : SMALLEST_CAPACITY;
  while (capacity < needed) capacity *= 2;
  int *dirty = realloc(sockets->dirty, capacity * sizeof *dirty);
  if (dirty == NULL) return false;
  sockets->dirty = dirty;
  qhub_socket *table = realloc(sockets->table, capacity * sizeof *table);
  if (table == NULL) return false;
  memset(table + sockets->capacity, 0, (capacity - sockets->capacity) * sizeof *table);
  sockets->table = table;
  sockets->capacity = capacity;
  return true;
}

static void mark(qhub_sockets *sockets, int fd) {
  qhub_socket *socket = &sockets->table[fd];
  if (socket->dirty) return;
  socket->dirty = true;
  sockets->dirty[sockets->dirty_count++] = fd;
}

void qhub_sockets_opened(qhub_sockets *sockets, int fd) {
  qhub_socket *socket = &sockets->table[fd];
  socket->registered = 0;
  socket->owned = true;
  socket->established = false;
  if (socket->wanted != 0) mark(sockets, fd); /* libcurl still counts on what it said before */
}

/* Tells the poller about one descriptor. One that is closed already (EBADF) is libcurl's affair: it
** has closed it, and will say so. */
static void update(qhub_engine *engine, int fd) {
  qhub_socket *socket = &engine->sockets.table[fd];
  if (socket->wanted == socket->registered) return;
  int failure = qhub_poller_set(&engine->poller, fd, socket->registered, socket->wanted);
  socket->registered = failure == 0 ? socket->wanted : 0;
  if (failure != 0 && failure != EBADF && socket->multi != NULL) {
    socket->multi->broken = true;
  }
}

void qhub_sockets_closing(qhub_engine *engine, int fd) {
  if ((size_t)fd >= engine->sockets.capacity) return;
  qhub_socket *socket = &engine->sockets.table[fd];
  socket->wanted = 0;
  socket->multi = NULL;
  update(engine, fd);
  socket->owned = false;
  socket->established = false;
}

void qhub_sockets_want(qhub_engine *engine, qhub_multi *multi, int fd, unsigned events) {
  qhub_sockets *sockets = &engine->sockets;
  if (!qhub_sockets_reserve(sockets, fd)) {
    multi->broken = true;
    return;
  }
  qhub_socket *socket = &sockets->table[fd];
  socket->multi = multi;
  socket->wanted = events;
  if ((events & QHUB_READABLE) != 0) socket->established = true;
  if (events != 0 || (socket->owned && socket->established)) {
    if (socket->wanted != socket->registered) mark(sockets, fd);
  } else {
    update(engine, fd);
  }
}

void qhub_sockets_flush(qhub_engine *engine) {
  qhub_sockets *sockets = &engine->sockets;
  for (size_t i = 0; i < sockets->dirty_count; i++) {
    int fd = sockets->dirty[i];
    sockets->table[fd].dirty = false;
    update(engine, fd);
  }
  sockets->dirty_count = 0;
}
