/*
** The multi handles of a session: what libcurl has under way, and the connections it keeps. See
** internal.h.
*/
#include "internal.h"

#include <math.h>

enum { FEWEST_KEPT = 8 };

bool qhub_multi_open(qhub_multi *multi) {
  if (multi->curl != NULL) return true;
  long max_connections = multi->session->max_connections;
  multi->timer = INFINITY;
  multi->curl = curl_multi_init();
  if (multi->curl == NULL) return false;
  qhub_callbacks_install_multi(multi);
  long kept = max_connections > FEWEST_KEPT ? max_connections : FEWEST_KEPT;
  bool shared = multi == &multi->session->multis[QHUB_MULTI_SHARED];
  long sharing = shared ? CURLPIPE_MULTIPLEX : CURLPIPE_NOTHING;
  (void)curl_multi_setopt(multi->curl, CURLMOPT_MAXCONNECTS, kept);
  (void)curl_multi_setopt(multi->curl, CURLMOPT_PIPELINING, sharing);
  return true;
}

/* Frees the multi handle and its connections. */
void qhub_multi_close(qhub_multi *multi) {
  if (multi->curl == NULL) return;
  qhub_held_signal held;
  qhub_sigpipe_begin(multi->session->engine, &held);
  curl_multi_cleanup(multi->curl);
  qhub_sigpipe_end(&held);
  multi->curl = NULL;
  multi->timer = INFINITY;
}

void qhub_sigpipe_begin(const qhub_engine *engine, qhub_held_signal *held) {
  held->held = false;
  if (engine->guard_sigpipe) qhub_signal_hold(held, SIGPIPE);
}

void qhub_sigpipe_end(qhub_held_signal *held) {
  qhub_signal_release(held);
}

void qhub_multi_act(qhub_multi *multi, curl_socket_t fd, int events) {
  int running;
  CURLMcode code = curl_multi_socket_action(multi->curl, fd, events, &running);
  /* Memory was too short to watch a descriptor: its transfer would never hear of it. */
  if (code != CURLM_OK) multi->broken = true;
}
