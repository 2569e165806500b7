/*
** The engine itself: its life, its step, deadlines, descriptors. See engine.h and internal.h.
*/
#include "internal.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* Seconds for which an interrupt may go unnoticed. */
static const double LONGEST_WAIT = 0.25;

/* Seconds between two checks of silence at least: many deadlines cost no more than a few. */
static const double CHECK_GAP = 0.005;

static void initialize_curl(void) {
  (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* libcurl's own initialization is safe in threads only since 7.84. This is the one mutable static
** of the library: a lock can be nowhere else. libcurl is never cleaned up, since the host program
** may use it too. */
static void initialize_curl_once(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, initialize_curl);
}

qhub_engine *qhub_engine_new(const char **message) {
  initialize_curl_once();
  const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
  qhub_engine *engine = calloc(1, sizeof *engine);
  if (engine == NULL) {
    *message = "not enough memory";
    return NULL;
  }
  engine->maker = getpid();
  engine->check_at = INFINITY;
  qhub_link_init(&engine->sessions);
  qhub_link_init(&engine->ready);
  /* Since 7.88 libcurl sends TLS records itself, with MSG_NOSIGNAL; before, OpenSSL wrote them. */
  engine->guard_sigpipe = version->version_num < 0x075800;
  engine->now = qhub_monotonic();
  if (!qhub_sockets_open(&engine->sockets)) {
    *message = "the system gives no descriptor to wait with";
    free(engine);
    return NULL;
  }
  return engine;
}

void qhub_engine_close(qhub_engine *engine) {
  if (engine->closed || qhub_engine_left(engine)) return;
  while (!qhub_link_is_single(&engine->sessions)) {
    qhub_session_close(QHUB_OWNER(engine->sessions.next, qhub_session, link));
  }
  qhub_engine_release(engine);
}

void qhub_engine_free(qhub_engine *engine) {
  qhub_engine_close(engine);
  free(engine);
}

bool qhub_engine_is_closed(qhub_engine *engine) {
  return engine->closed || qhub_engine_left(engine);
}

size_t qhub_engine_active(const qhub_engine *engine) {
  return engine->active_count;
}

size_t qhub_engine_queued(const qhub_engine *engine) {
  return engine->queued_count;
}

qhub_transfer *qhub_engine_ready(qhub_engine *engine) {
  if (qhub_link_is_single(&engine->ready)) return NULL;
  qhub_transfer *transfer = QHUB_OWNER(engine->ready.next, qhub_transfer, ready_link);
  qhub_link_remove(&transfer->ready_link);
  return transfer;
}

static size_t count_ready(const qhub_engine *engine) {
  size_t count = 0;
  for (const qhub_link *at = engine->ready.next; at != &engine->ready; at = at->next) count++;
  return count;
}

/* Lets libcurl act on its timers that are due. */
static void run_multi_timers(qhub_engine *engine) {
  for (qhub_link *at = engine->sessions.next; at != &engine->sessions; at = at->next) {
    qhub_session *session = QHUB_OWNER(at, qhub_session, link);
    for (int i = 0; i < QHUB_MULTIS; i++) {
      qhub_multi *multi = &session->multis[i];
      if (multi->timer > engine->now) continue;
      multi->timer = INFINITY;
      qhub_multi_act(multi, CURL_SOCKET_TIMEOUT, 0);
    }
  }
}

/* Lets libcurl act on descriptors that are ready. Nobody wants one any more that was closed in this
** batch. */
static void run_sockets(qhub_engine *engine, const struct pollfd *ready, int count) {
  for (int i = 0; i < count; i++) {
    const qhub_socket *socket = &engine->sockets.table[ready[i].fd];
    int found = ready[i].revents;
    int events = 0;
    if (socket->wanted == 0) continue;
    /* What exactly is broken shows when libcurl reads or writes. */
    if ((found & (POLLERR | POLLHUP)) != 0) {
      events |= CURL_CSELECT_ERR;
      found |= socket->wanted;
    }
    if ((found & POLLIN) != 0) events |= CURL_CSELECT_IN;
    if ((found & POLLOUT) != 0) events |= CURL_CSELECT_OUT;
    qhub_multi_act(socket->multi, ready[i].fd, events);
  }
}

/* Finishes what libcurl is through with and starts what waited for that. */
static void collect(qhub_engine *engine) {
  for (qhub_link *at = engine->sessions.next; at != &engine->sessions; at = at->next) {
    qhub_session_collect(QHUB_OWNER(at, qhub_session, link));
  }
}

/* Comes after the sockets: what waited in the kernel while the host program did something else is
** no silence. */
static void check_silence(qhub_engine *engine) {
  if (engine->check_at > engine->now) return;
  engine->check_at = INFINITY;
  for (qhub_link *at = engine->sessions.next; at != &engine->sessions; at = at->next) {
    qhub_session_check_silence(QHUB_OWNER(at, qhub_session, link));
  }
  double soon = engine->now + CHECK_GAP;
  if (engine->check_at < soon) engine->check_at = soon;
}

/* When the first timer of any kind is due; INFINITY: none runs. */
static double next_deadline(qhub_engine *engine) {
  double deadline = engine->check_at;
  for (qhub_link *at = engine->sessions.next; at != &engine->sessions; at = at->next) {
    const qhub_session *session = QHUB_OWNER(at, qhub_session, link);
    for (int i = 0; i < QHUB_MULTIS; i++) {
      if (session->multis[i].timer < deadline) deadline = session->multis[i].timer;
    }
  }
  return deadline;
}

/* One round: timers, wait, sockets. False when a signal ended the wait. */
static bool turn(qhub_engine *engine, double until) {
  struct pollfd ready[QHUB_BATCH];
  run_multi_timers(engine);
  qhub_sockets_flush(&engine->sockets);
  collect(engine); /* also what cannot be watched */
  double wait = 0;
  if (qhub_link_is_single(&engine->ready)) {
    double deadline = next_deadline(engine);
    wait = (deadline < until ? deadline : until) - engine->now;
  }
  /* A signal may come between the last check of what its handler set and the wait. */
  if (wait > LONGEST_WAIT) wait = LONGEST_WAIT;
  int count = qhub_sockets_wait(&engine->sockets, wait, ready);
  engine->now = qhub_monotonic();
  if (count > 0) {
    run_sockets(engine, ready, count);
    collect(engine);
  }
  if (count >= 0) check_silence(engine);
  return count >= 0;
}

size_t qhub_engine_step(qhub_engine *engine, double timeout, qhub_interrupted interrupted,
                        void *user) {
  engine->now = qhub_monotonic();
  bool forever = timeout < 0;
  if (forever && engine->active_count == 0) return count_ready(engine);
  double until = forever ? INFINITY : engine->now + timeout;
  qhub_held_signal held = qhub_hold_sigpipe(engine);
  do {
    if (!turn(engine, until)) break;
  } while (qhub_link_is_single(&engine->ready) && engine->now < until && !interrupted(user));
  qhub_signal_release(&held);
  return count_ready(engine);
}

static bool is_ready(const qhub_transfer *transfer) {
  return transfer->state == QHUB_TRANSFER_DONE || !qhub_link_is_single(&transfer->ready_link);
}

bool qhub_engine_wait(qhub_engine *engine, qhub_transfer *transfer, double timeout,
                      qhub_interrupted interrupted, void *user) {
  if (!is_ready(transfer)) (void)qhub_engine_step(engine, timeout, interrupted, user);
  bool ready = is_ready(transfer);
  if (ready) qhub_link_remove(&transfer->ready_link);
  return ready;
}

int qhub_engine_pollfd(qhub_engine *engine) {
  if (!qhub_engine_is_closed(engine)) qhub_sockets_flush(&engine->sockets);
  return engine->sockets.fd;
}

double qhub_engine_timeout(qhub_engine *engine) {
  if (qhub_engine_is_closed(engine)) return -1;
  qhub_sockets_flush(&engine->sockets);
  if (!qhub_link_is_single(&engine->ready)) return 0;
  double deadline = next_deadline(engine);
  if (!(deadline < INFINITY)) return -1;
  double seconds = deadline - qhub_monotonic();
  return seconds > 0 ? seconds : 0;
}
