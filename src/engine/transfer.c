/*
** One request and its response: from the copy of the request to the last byte taken. See engine.h
** and internal.h.
*/
#include "internal.h"

#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#ifdef __linux__
#include <linux/sockios.h> /* SIOCOUTQ */
#endif

/* libcurl's own connect timeout comes first; this is for what it does not watch. */
static const double CONNECT_GRACE = 1.0;

enum { BLOCK = 256 * 1024 }; /* bytes of a file; others cost a file system a fifth more */

/* Takes it out of the list it is in. */
static void leave_list(qhub_transfer *transfer) {
  qhub_link_remove(&transfer->link);
  if (transfer->state == QHUB_TRANSFER_QUEUED) transfer->session->engine->queued_count--;
}

/* Takes it out of libcurl. `clean`: its easy handle may be used again. */
static void remove_easy(qhub_transfer *transfer, bool clean) {
  qhub_session *session = transfer->session;
  qhub_easy_give(transfer->easy, clean);
  transfer->easy = NULL;
  session->active_count--;
  session->last_move = session->engine->now;
}

void qhub_transfer_detach(qhub_transfer *transfer, bool clean) {
  qhub_session *session = transfer->session;
  qhub_engine *engine = session->engine;
  leave_list(transfer);
  if (transfer->easy != NULL) remove_easy(transfer, clean);
  if (--engine->active_count == 0) engine->check_at = INFINITY;
  transfer->session = NULL;
  transfer->state = QHUB_TRANSFER_DONE;
}

/* Whether libcurl wanted to send a request again that an HTTP/2 server had refused, as all those of
** a connection that is ended (GOAWAY) above its last stream. Also a connection that died looks like
** this to us: what must be sent once is not started over. */
static bool was_refused(const qhub_transfer *transfer) {
  return transfer->refused && !transfer->answered && !transfer->prepared->request.once &&
         transfer->easy->multi == &transfer->session->multis[QHUB_MULTI_SHARED];
}

/* Starts it over with HTTP/1.1, where a server says in its last response that it closes. False:
** `failure` is set. */
static bool start_over(qhub_transfer *transfer) {
  remove_easy(transfer, false);
  transfer->sent = transfer->opened = false;
  transfer->upload.sent = transfer->upload.unsent = 0;
  transfer->upload.fd = -1;
  return qhub_transfer_activate(transfer);
}

/* Whether the head of the response was too large for us, or for libcurl, which takes lines of 100
** kB at most (CURL_MAX_HTTP_HEADER) and before 8.6 calls it a lack of memory. */
static bool head_is_too_large(const qhub_transfer *transfer, CURLcode code) {
  if (transfer->head_cut) return true;
#if LIBCURL_VERSION_NUM >= 0x080600
  if (code == CURLE_TOO_LARGE && !transfer->headers.complete) return true;
#endif
  return code == CURLE_OUT_OF_MEMORY && transfer->answered && !transfer->headers.complete;
}

void qhub_transfer_finish(qhub_transfer *transfer, CURLcode code) {
  if (code != CURLE_OK && head_is_too_large(transfer, code)) {
    transfer->head_cut = true;
    /* What such a response says is its status; it stands without a body. */
    if (transfer->headers.status >= 300) {
      transfer->headers.complete = true;
      code = CURLE_OK;
    }
  }

  if (code != CURLE_OK && was_refused(transfer)) {
    if (start_over(transfer)) return;
    code = CURLE_OK;
  }
  qhub_transfer_settle(transfer, code, transfer->failure.kind);
}

void qhub_transfer_settle(qhub_transfer *transfer, CURLcode code, qhub_failure_kind kind) {
  qhub_engine *engine = transfer->session->engine;
  bool over = code == CURLE_OK && kind == QHUB_FAIL_NONE;
  if (over && !transfer->headers.complete) kind = QHUB_FAIL_NETWORK;
  bool failed = code != CURLE_OK || kind != QHUB_FAIL_NONE;
  if (failed && transfer->failure.kind == QHUB_FAIL_NONE) qhub_failure_set(transfer, code, kind);
  qhub_transfer_detach(transfer, !failed && !transfer->head_cut);
  qhub_mark_ready(engine, transfer);
}

/* Streams go over HTTP/1.1: there a paused transfer stops its own connection. Within an HTTP/2
** connection libcurl 7.88 stops reading for all of its transfers when a paused one gets data
** (on_data_chunk_recv in its http2.c). So do requests that must not be sent twice, unless the
** server is known not to speak HTTP/2: when one ends an HTTP/2 connection (GOAWAY) or refuses a
** stream, libcurl does not say which requests never ran. */
static int choose_multi(const qhub_transfer *transfer) {
  const qhub_request *request = &transfer->prepared->request;
  int version = transfer->session->shared_version;
  bool may_share = transfer->session->may_share && request->stream == 0 && !transfer->refused &&
                   !(request->once && (version == 0 || version >= 20)) &&
                   curl_strnequal(transfer->url, "https:", strlen("https:"));
  return may_share ? QHUB_MULTI_SHARED : QHUB_MULTI_PLAIN;
}

bool qhub_transfer_activate(qhub_transfer *transfer) {
  qhub_session *session = transfer->session;
  qhub_engine *engine = session->engine;
  qhub_multi *multi = &session->multis[choose_multi(transfer)];
  transfer->easy = qhub_easy_take(session, transfer, multi);
  if (transfer->easy == NULL) return false;
  leave_list(transfer);
  qhub_link_append(&session->active, &transfer->link);
  session->active_count++;
  transfer->state = QHUB_TRANSFER_ACTIVE;
  transfer->last_activity = engine->now;
  double patience = transfer->prepared->request.connect_timeout + CONNECT_GRACE;
  qhub_check_at(engine, engine->now + patience);
  return true;
}

/* When it has been silent for too long, by what is known now. */
static double silence_ends(const qhub_transfer *transfer, double now) {
  double since = transfer->last_activity;
  if (transfer->state == QHUB_TRANSFER_QUEUED) {
    /* The queue moves, or those before it do: no silence. */
    if (transfer->session->last_move > since) since = transfer->session->last_move;
    return since + transfer->prepared->request.timeout;
  }
  /* While it is paused it is the reader who is silent. */
  if (transfer->paused) return now + transfer->prepared->request.timeout;
  if (transfer->sent) return since + transfer->prepared->request.timeout;
  return since + transfer->prepared->request.connect_timeout + CONNECT_GRACE;
}

/* What the system holds back for a slow peer; 0 if nothing, or if it is unknown. */
static int unsent_bytes(int fd) {
  int count = 0;
#if defined(SIOCOUTQ)
  if (ioctl(fd, SIOCOUTQ, &count) != 0) return 0;
#elif defined(FIONWRITE)
  if (ioctl(fd, FIONWRITE, &count) != 0) return 0;
#else
  (void)fd;
#endif
  return count;
}

/* Whether the end of a body is still on its way: libcurl is through with it as soon as the system
** has taken it, and that may be megabytes on a slow line. */
static bool upload_moves(qhub_transfer *transfer) {
  qhub_upload *upload = &transfer->upload;
  if (upload->fd < 0 || transfer->answered) return false;
  int unsent = unsent_bytes(upload->fd);
  bool moves = unsent > 0 && (upload->unsent == 0 || unsent < upload->unsent);
  upload->unsent = unsent;
  return moves;
}

bool qhub_transfer_check_silence(qhub_transfer *transfer) {
  qhub_engine *engine = transfer->session->engine;
  double deadline = silence_ends(transfer, engine->now);
  if (deadline <= engine->now && upload_moves(transfer)) {
    double timeout = transfer->prepared->request.timeout;
    transfer->last_activity = engine->now - timeout / 2; /* soon to be checked again */
    deadline = transfer->last_activity + timeout;
  }
  if (deadline > engine->now) {
    qhub_check_at(engine, deadline);
    return false;
  }
  qhub_transfer_settle(transfer, CURLE_OK, QHUB_FAIL_TIMEOUT);
  return true;
}

qhub_transfer_view qhub_transfer_look(const qhub_transfer *transfer) {
  size_t length;
  const char *held = qhub_buffer_peek(&transfer->body, &length);
  return (qhub_transfer_view){
    .state = transfer->state,
    .is_stream = transfer->prepared->request.stream > 0,
    .headers = &transfer->headers,
    .held = held,
    .length = length,
    .failure = transfer->failure.kind != QHUB_FAIL_NONE ? &transfer->failure : NULL,
  };
}

size_t qhub_transfer_portion(const qhub_transfer *transfer, int64_t position) {
  size_t length;
  (void)qhub_buffer_peek(&transfer->body, &length);
  bool may_grow = transfer->session != NULL && length == transfer->body.length;
  if (!may_grow || transfer->prepared->request.stream < BLOCK) return length;
  size_t beyond = (size_t)((position + (int64_t)length) % BLOCK);
  return length > beyond ? length - beyond : 0;
}
