/*
** Sessions and their queue: where transfers start and end. See internal.h. libcurl could queue by
** itself (CURLMOPT_MAX_HOST_CONNECTIONS), but would let the connect timeout of a queued transfer
** run; here a queue moves as long as its session gets something done.
*/
#include "internal.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum {
  HEADER_LIMIT = 256 * 1024,        /* bytes of header fields in one response */
  MOST_KEPT = 16 * 1024,            /* bytes of body that a closed transfer keeps room for */
  OVERRUN_LIMIT = 128 * 1024 * 1024 /* bytes that a paused stream may still be handed: libcurl
                                        decodes what it has read already */
};

qhub_session *qhub_session_new(qhub_engine *engine, const qhub_session_config *config) {
  qhub_session *session = calloc(1, sizeof *session);
  if (session == NULL) return NULL;
  qhub_link_init(&session->link);
  qhub_link_init(&session->queue);
  qhub_link_init(&session->active);
  if (!qhub_easy_model(session, config)) {
    free(session);
    return NULL;
  }
  /* A libcurl without HTTP/2 refuses it, which matters only if it was asked for. */
  bool has_http2 = (curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_HTTP2) != 0;
  session->may_share = config->http_version == 20 || (config->http_version == 0 && has_http2);
  session->engine = engine;
  session->max_connections = config->max_connections;
  for (int i = 0; i < QHUB_MULTIS; i++) {
    session->multis[i].session = session;
    session->multis[i].timer = INFINITY;
  }
  qhub_link_append(&engine->sessions, &session->link);
  return session;
}

static void cancel_all(qhub_link *list) {
  while (!qhub_link_is_single(list)) {
    qhub_transfer *transfer = QHUB_OWNER(list->next, qhub_transfer, link);
    qhub_transfer_settle(transfer, CURLE_OK, QHUB_FAIL_CANCELLED);
  }
}

void qhub_session_close(qhub_session *session) {
  if (qhub_session_is_closed(session)) return;
  cancel_all(&session->queue);
  cancel_all(&session->active);
  qhub_easies_free(session);
  for (int i = 0; i < QHUB_MULTIS; i++) qhub_multi_close(&session->multis[i]);
  qhub_link_remove(&session->link);
  session->engine = NULL;
}

void qhub_session_free(qhub_session *session) {
  qhub_session_close(session);
  free(session);
}

bool qhub_session_is_closed(const qhub_session *session) {
  return session->engine == NULL || qhub_engine_left(session->engine);
}

/* Starts what there is room for. */
static void pump(qhub_session *session) {
  while (session->active_count < session->max_connections &&
         !qhub_link_is_single(&session->queue)) {
    qhub_transfer *transfer = QHUB_OWNER(session->queue.next, qhub_transfer, link);
    if (!qhub_transfer_activate(transfer)) {
      qhub_transfer_settle(transfer, CURLE_OK, transfer->failure.kind);
    }
  }
}

static bool check_list(qhub_link *list) {
  bool ended = false;
  for (qhub_link *at = list->next, *next; at != list; at = next) {
    next = at->next;
    ended = qhub_transfer_check_silence(QHUB_OWNER(at, qhub_transfer, link)) || ended;
  }
  return ended;
}

void qhub_session_check_silence(qhub_session *session) {
  (void)check_list(&session->queue);
  if (check_list(&session->active)) pump(session);
}

void qhub_transfer_close(qhub_transfer *transfer) {
  qhub_session *session = transfer->session;
  if (session != NULL && !qhub_session_is_closed(session)) {
    session->engine->now = qhub_monotonic();
    qhub_transfer_settle(transfer, CURLE_OK, QHUB_FAIL_CANCELLED);
    pump(session);
  }
  qhub_link_remove(&transfer->ready_link); /* who closes it knows */
  transfer->body.length = transfer->body.start = 0;
  if (transfer->body.capacity > MOST_KEPT) qhub_buffer_free(&transfer->body);
}

qhub_transfer *qhub_transfer_new(void) {
  qhub_transfer *transfer = calloc(1, sizeof *transfer);
  if (transfer == NULL) return NULL;
  qhub_link_init(&transfer->link);
  qhub_link_init(&transfer->ready_link);
  return transfer;
}

void qhub_transfer_free(qhub_transfer *transfer) {
  qhub_transfer_close(transfer);
  qhub_headers_free(&transfer->headers);
  qhub_buffer_free(&transfer->body);
  free(transfer);
}

/* Makes a closed transfer a new one, with the buffers that it has. */
static void renew(qhub_transfer *transfer, const qhub_prepared *prepared, const char *url,
                  const char *body, size_t body_length) {
  const qhub_request *request = &prepared->request;
  qhub_headers headers;
  qhub_transfer_close(transfer);
  qhub_headers_init(&headers, HEADER_LIMIT);
  headers.text.data = transfer->headers.text.data;
  headers.text.capacity = transfer->headers.text.capacity;
  *transfer = (qhub_transfer){
    .prepared = prepared,
    .url = url,
    .upload = {.bytes = body, .length = body != NULL ? body_length : 0, .fd = -1},
    .headers = headers,
    .body = transfer->body,
  };
  transfer->body.length = 0;
  transfer->body.limit = request->max_bytes;
  if (request->stream > 0) {
    size_t room = SIZE_MAX - request->stream;
    transfer->body.limit = request->stream + (room < OVERRUN_LIMIT ? room : OVERRUN_LIMIT);
  }
  qhub_link_init(&transfer->link);
  qhub_link_init(&transfer->ready_link);
}

bool qhub_transfer_start(qhub_transfer *transfer, qhub_session *session,
                         const qhub_prepared *prepared, const char *url, const char *body,
                         size_t body_length) {
  renew(transfer, prepared, url, body, body_length);
  if (qhub_session_is_closed(session)) {
    qhub_failure_set(transfer, CURLE_OK, QHUB_FAIL_CANCELLED);
    if (session->is_left) qhub_failure_left(&transfer->failure);
    return false;
  }
  qhub_engine *engine = session->engine;
  engine->now = qhub_monotonic();
  engine->active_count++;
  transfer->session = session;
  transfer->last_activity = engine->now;
  if (session->active_count < session->max_connections) {
    if (qhub_transfer_activate(transfer)) return true;
    qhub_transfer_detach(transfer, false);
    return false;
  }
  transfer->state = QHUB_TRANSFER_QUEUED;
  qhub_link_append(&session->queue, &transfer->link);
  engine->queued_count++;
  qhub_check_at(engine, engine->now + prepared->request.timeout);
  return true;
}

/* Lets libcurl hand over more; it may do so at once, from within. */
static void resume(qhub_transfer *transfer) {
  qhub_engine *engine = transfer->session->engine;
  engine->now = transfer->last_activity = qhub_monotonic();
  transfer->paused = false;
  qhub_held_signal held = qhub_hold_sigpipe(engine);
  CURLcode code = curl_easy_pause(transfer->easy->curl, CURLPAUSE_CONT);
  qhub_signal_release(&held);
  /* BAD_FUNCTION_ARGUMENT: it has no connection any more; a step will report how it ended. */
  if (code != CURLE_OK && code != CURLE_BAD_FUNCTION_ARGUMENT) {
    qhub_session *session = transfer->session;
    qhub_transfer_settle(transfer, code, QHUB_FAIL_NONE);
    pump(session);
  }
}

void qhub_transfer_take(qhub_transfer *transfer, size_t length) {
  qhub_buffer_shift(&transfer->body, length);
  bool has_room = transfer->body.length < transfer->prepared->request.stream;
  if (!transfer->paused || transfer->easy == NULL || !has_room) return;
  if (!qhub_engine_left(transfer->session->engine)) resume(transfer);
}

/* Gives up everything that the multi has inside libcurl, and the multi handle: libcurl 7.88
** divides by zero when it uses a descriptor again that it had no memory to remember. */
static void give_up(qhub_multi *multi) {
  qhub_link *active = &multi->session->active;
  qhub_link *next;
  for (qhub_link *each = active->next; each != active; each = next) {
    qhub_transfer *transfer = QHUB_OWNER(each, qhub_transfer, link);
    next = each->next;
    if (transfer->easy->multi == multi) qhub_transfer_settle(transfer, CURLE_OK, QHUB_FAIL_MEMORY);
  }
  qhub_multi_close(multi);
  multi->broken = false;
}

/* Whether anything ended. */
static bool collect_multi(qhub_multi *multi) {
  const CURLMsg *message;
  int left;
  bool ended = false;
  if (multi->curl == NULL) return false;
  while ((message = curl_multi_info_read(multi->curl, &left)) != NULL) {
    if (message->msg != CURLMSG_DONE) continue;
    qhub_easy *easy = NULL;
    CURLcode code = message->data.result;
    (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&easy);
    qhub_transfer_finish(easy->transfer, code);
    ended = true;
  }
  if (!multi->broken) return ended;
  give_up(multi);
  return true;
}

void qhub_session_collect(qhub_session *session) {
  bool ended = false;
  for (int i = 0; i < QHUB_MULTIS; i++) ended = collect_multi(&session->multis[i]) || ended;
  if (ended) pump(session);
}
