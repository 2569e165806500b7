/*
** What libcurl calls for a transfer. Nothing here frees, finishes or starts one, or knows Lua: the
** callbacks record what happened and act later, or pause. See internal.h.
*/
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Left to the program, which has files to open and modules to load. */
enum { SPARE_DESCRIPTORS = 8 };

static void touch(qhub_transfer *transfer) {
  double now = transfer->session->engine->now;
  transfer->last_activity = now;
  transfer->session->last_move = now; /* for those in its queue */
}

/* Stops the transfer from within a callback: whoever returns this value means it. */
static size_t stop(qhub_transfer *transfer, qhub_failure_kind reason) {
  transfer->stopped_for = reason;
  return 0;
}

/* Records what the head of a response says of its connection. Servers that failed often hang up
** without a word, so such a connection is not kept: the next request may be one that cannot be
** sent twice.
** Within HTTP/2 a failure is that of one stream. */
static void note_answer(qhub_transfer *transfer) {
  qhub_session *session = transfer->session;
  const qhub_headers *headers = &transfer->headers;
  bool shared = transfer->easy->multi == &session->multis[QHUB_MULTI_SHARED];
  if (shared) session->shared_version = headers->version;
  if (headers->status < 500 || headers->version >= 20) return;
  transfer->easy->settings[QHUB_FORBID_REUSE] = 1;
  (void)curl_easy_setopt(transfer->easy->curl, CURLOPT_FORBID_REUSE, 1L);
}

/* One line of the response's head. */
static size_t take_header(char *line, size_t size, size_t count, void *user) {
  qhub_transfer *transfer = ((qhub_easy *)user)->transfer;
  size_t length = size * count;
  touch(transfer);
  transfer->answered = true;
  switch (qhub_headers_add(&transfer->headers, line, length)) {
    case QHUB_HEADERS_MORE: return length;
    case QHUB_HEADERS_COMPLETE:
      note_answer(transfer);
      if (transfer->prepared->request.stream > 0) {
        transfer->state = QHUB_TRANSFER_OPEN;
        qhub_mark_ready(transfer->session->engine, transfer);
      }
      return length;
    case QHUB_HEADERS_TOO_LARGE:
      if (transfer->headers.complete) return stop(transfer, QHUB_FAIL_TOO_LARGE); /* trailers */
      transfer->head_cut = true;
      return stop(transfer, QHUB_FAIL_NETWORK);
    case QHUB_HEADERS_NO_MEMORY: return stop(transfer, QHUB_FAIL_MEMORY);
    default: return stop(transfer, QHUB_FAIL_NETWORK);
  }
}

/* Keeps a body whole; of one that is too large, what fits. */
static size_t keep(qhub_transfer *transfer, const char *bytes, size_t length) {
  size_t room = transfer->prepared->request.max_bytes - transfer->body.length;
  size_t fitting = length < room ? length : room;
  if (qhub_buffer_append(&transfer->body, bytes, fitting) != QHUB_BUFFER_OK) {
    return stop(transfer, QHUB_FAIL_MEMORY);
  }
  return fitting == length ? length : stop(transfer, QHUB_FAIL_TOO_LARGE);
}

/* Appends to what a stream holds. Pauses when that is enough: libcurl then still hands over what it
** has read already, and no more. */
static size_t hold(qhub_transfer *transfer, const char *bytes, size_t length) {
  qhub_buffer *body = &transfer->body;
  qhub_mark_ready(transfer->session->engine, transfer);
  switch (qhub_buffer_push(body, bytes, length)) {
    case QHUB_BUFFER_OK: break;
    case QHUB_BUFFER_FULL: return stop(transfer, QHUB_FAIL_TOO_LARGE);
    default: return stop(transfer, QHUB_FAIL_MEMORY);
  }
  if (!transfer->paused && body->length >= transfer->prepared->request.stream) {
    transfer->paused = true;
    if (curl_easy_pause(transfer->easy->curl, CURLPAUSE_RECV) != CURLE_OK) {
      return stop(transfer, QHUB_FAIL_NETWORK);
    }
  }
  return length;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *user) {
  qhub_transfer *transfer = ((qhub_easy *)user)->transfer;
  size_t length = size * count;
  touch(transfer);
  transfer->answered = true;
  if (transfer->prepared->request.stream > 0) return hold(transfer, bytes, length);
  return keep(transfer, bytes, length);
}

/* The request is going onto a connection: from here on silence counts. */
static void begin_reading(qhub_transfer *transfer) {
  transfer->sent = true;
  transfer->session->unreachable = false;
  touch(transfer);
  qhub_check_at(transfer->session->engine,
                transfer->last_activity + transfer->prepared->request.timeout);
}

#if LIBCURL_VERSION_NUM >= 0x075000
/* libcurl repeats a request whose kept connection died before the response (Curl_retry_request in
** its transfer.c), a POST like any other: that is refused here, and decided above. */
static int about_to_send(void *user, char *address, char *own_address, int port, int own_port) {
  qhub_transfer *transfer = ((qhub_easy *)user)->transfer;
  (void)address;
  (void)own_address;
  (void)port;
  (void)own_port;
  if (transfer->sent) {
    transfer->refused = true;
    return CURL_PREREQFUNC_ABORT;
  }
  begin_reading(transfer);
  return CURL_PREREQFUNC_OK;
}
#endif

/* Bytes of the body that left are a sign of life. A libcurl that does not report before it sends is
** found out here, soon after. */
static int note_progress(void *user, curl_off_t download_total, curl_off_t downloaded,
                         curl_off_t upload_total, curl_off_t uploaded) {
  const qhub_easy *easy = user;
  qhub_transfer *transfer = easy->transfer;
  (void)download_total;
  (void)downloaded;
  (void)upload_total;
  if (transfer == NULL) return 0;
  if (!transfer->sent && !easy->counts_sends) {
    curl_off_t since = 0;
    (void)curl_easy_getinfo(easy->curl, CURLINFO_PRETRANSFER_TIME_T, &since);
    if (since > 0) begin_reading(transfer);
  }
  if (uploaded != transfer->upload.sent) {
    transfer->upload.sent = uploaded;
    transfer->upload.unsent = 0;
    touch(transfer);
  }
  return 0;
}

/* Whether hardly a descriptor is left: the system hands out the lowest that is free. */
static bool is_among_last(int fd) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return false;
  return (rlim_t)fd + SPARE_DESCRIPTORS >= limit.rlim_cur;
}

/* A socket that child processes do not inherit. None for a request that went out already: libcurl
** would only connect to repeat it. */
static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address) {
  const qhub_easy *easy = user;
  qhub_transfer *transfer = easy->transfer;
  qhub_engine *engine = easy->session->engine;
  (void)purpose;
  if (transfer->sent) {
    transfer->refused = true;
    return CURL_SOCKET_BAD;
  }
#ifdef SOCK_CLOEXEC
  int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
#else
  int fd = socket(address->family, address->socktype, address->protocol);
  if (fd >= 0) (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
  if (fd < 0) {
    transfer->no_descriptor = errno == EMFILE || errno == ENFILE;
    return CURL_SOCKET_BAD;
  }
  if (is_among_last(fd)) {
    close(fd);
    transfer->no_descriptor = true;
    return CURL_SOCKET_BAD;
  }
  if (!qhub_sockets_reserve(&engine->sockets, fd)) {
    close(fd);
    transfer->stopped_for = QHUB_FAIL_MEMORY;
    return CURL_SOCKET_BAD;
  }
  qhub_sockets_opened(&engine->sockets, fd);
  transfer->opened = true;
  return fd;
}

/* A connection lives longer than the handle that opened it: `user` is the session. */
static int close_socket(void *user, curl_socket_t fd) {
  const qhub_session *session = user;
  qhub_sockets_closing(&session->engine->sockets, fd);
  return close(fd);
}

void qhub_callbacks_install(qhub_easy *easy) {
  CURL *curl = easy->curl;
  (void)curl_easy_setopt(curl, CURLOPT_PRIVATE, (void *)easy);
  (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, easy->error);
  (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
  (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, (void *)easy);
  (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
  (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, (void *)easy);
  (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, note_progress);
  (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)easy);
  (void)curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  (void)curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, (void *)easy);
  (void)curl_easy_setopt(curl, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
  (void)curl_easy_setopt(curl, CURLOPT_CLOSESOCKETDATA, (void *)easy->session);
#if LIBCURL_VERSION_NUM >= 0x075000
  /* The libcurl that is loaded may be older than the one that was compiled for. */
  easy->counts_sends = curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, about_to_send) == CURLE_OK &&
                       curl_easy_setopt(curl, CURLOPT_PREREQDATA, (void *)easy) == CURLE_OK;
#endif
}
