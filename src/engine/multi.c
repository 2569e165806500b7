/*
** The multi handles of a session: what libcurl has under way, and the connections it keeps; what it
** calls for them only records. See internal.h.
*/
#include "internal.h"

#include <math.h>

enum { FEWEST_KEPT = 8 };

/* Remembers where a body waits to be sent. */
static void note_blocked_upload(CURL *curl, curl_socket_t fd) {
  qhub_easy *easy = NULL;
  (void)curl_easy_getinfo(curl, CURLINFO_PRIVATE, (char **)&easy);
  if (easy != NULL && easy->transfer != NULL && easy->transfer->sent) {
    easy->transfer->upload.fd = fd;
  }
}

/* Which events libcurl wants of a descriptor. */
static int watch_socket(CURL *curl, curl_socket_t fd, int what, void *user, void *socket_user) {
  qhub_multi *multi = user;
  int events = 0;
  (void)socket_user;
  if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) events |= POLLIN;
  if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) {
    events |= POLLOUT;
    note_blocked_upload(curl, fd);
  }
  qhub_sockets_want(&multi->session->engine->sockets, multi, fd, events);
  return 0;
}

/* When libcurl wants to be called. */
static int set_timer(CURLM *curl, long timeout_ms, void *user) {
  qhub_multi *multi = user;
  (void)curl;
  double since = timeout_ms > 0 ? qhub_monotonic() : multi->session->engine->now;
  multi->timer = timeout_ms < 0 ? INFINITY : since + (double)timeout_ms * 1e-3;
  return 0;
}

bool qhub_multi_open(qhub_multi *multi) {
  if (multi->curl != NULL) return true;
  long max_connections = multi->session->max_connections;
  multi->timer = INFINITY;
  multi->curl = curl_multi_init();
  if (multi->curl == NULL) return false;
  (void)curl_multi_setopt(multi->curl, CURLMOPT_SOCKETFUNCTION, watch_socket);
  (void)curl_multi_setopt(multi->curl, CURLMOPT_SOCKETDATA, (void *)multi);
  (void)curl_multi_setopt(multi->curl, CURLMOPT_TIMERFUNCTION, set_timer);
  (void)curl_multi_setopt(multi->curl, CURLMOPT_TIMERDATA, (void *)multi);
  long kept = max_connections > FEWEST_KEPT ? max_connections : FEWEST_KEPT;
  bool shared = multi == &multi->session->multis[QHUB_MULTI_SHARED];
  long sharing = shared ? CURLPIPE_MULTIPLEX : CURLPIPE_NOTHING;
  (void)curl_multi_setopt(multi->curl, CURLMOPT_MAXCONNECTS, kept);
  (void)curl_multi_setopt(multi->curl, CURLMOPT_PIPELINING, sharing);
  return true;
}

void qhub_multi_close(qhub_multi *multi) {
  if (multi->curl == NULL) return;
  qhub_held_signal held = qhub_hold_sigpipe(multi->session->engine);
  curl_multi_cleanup(multi->curl);
  qhub_signal_release(&held);
  multi->curl = NULL;
  multi->timer = INFINITY;
}

qhub_held_signal qhub_hold_sigpipe(const qhub_engine *engine) {
  qhub_held_signal held = {.held = false};
  if (engine->guard_sigpipe) qhub_signal_hold(&held, SIGPIPE);
  return held;
}

void qhub_multi_act(qhub_multi *multi, curl_socket_t fd, int events) {
  int running;
  CURLMcode code = curl_multi_socket_action(multi->curl, fd, events, &running);
  /* Memory was too short to watch a descriptor: its transfer would never hear of it. */
  if (code != CURLM_OK) multi->broken = true;
}
