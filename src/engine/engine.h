/*
** The HTTP engine: many requests at once from one thread, over libcurl's socket interface.
**
** An engine moves the transfers of its sessions while somebody calls `qhub_engine_step`; nothing
** happens between the calls, and nothing calls back into the user. A session is the connection
** settings of one client, with its own kept connections. A prepared request is what many requests
** have in common: method, header lines, limits. A transfer is one request on the wire and its
** response: never repeated, never redirected; what to do about a failure is decided above.
**
** One engine belongs to one thread at a time. Engine, sessions and transfers may be closed and
** freed in any order: closing an engine closes its sessions, closing a session ends its
** transfers, and what is left behind is inert. In a child of fork() they are all closed. Times are
** seconds. Knows no Lua; this header knows no curl.
*/
#ifndef QHUB_ENGINE_H
#define QHUB_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../text/headers.h"

typedef struct qhub_engine qhub_engine;
typedef struct qhub_session qhub_session;
typedef struct qhub_prepared qhub_prepared;
typedef struct qhub_transfer qhub_transfer;

typedef enum {
  QHUB_FAIL_NONE = 0,
  QHUB_FAIL_TIMEOUT,   /* silence for too long; see `phase` */
  QHUB_FAIL_NETWORK,   /* name, connection, TLS, protocol, broken or truncated response */
  QHUB_FAIL_TOO_LARGE, /* body or header block beyond its bound */
  QHUB_FAIL_CANCELLED, /* closed while under way */
  QHUB_FAIL_MEMORY
} qhub_failure_kind;

enum { QHUB_MESSAGE_SIZE = 400 };

typedef struct {
  qhub_failure_kind kind;
  const char *phase; /* "connect" until the request went onto a connection, then "read" */
  bool sent;         /* false: certainly no byte of the request was sent */
  bool stale;        /* a kept connection died before the first byte of the response */
  int code;          /* libcurl's, 0 when it was not libcurl that failed */
  char message[QHUB_MESSAGE_SIZE]; /* one line without secrets */
} qhub_failure;

typedef enum {
  QHUB_TRANSFER_DONE = 0, /* with or without a failure; or never started */
  QHUB_TRANSFER_QUEUED,   /* waits for its turn (max_connections) */
  QHUB_TRANSFER_ACTIVE,
  QHUB_TRANSFER_OPEN /* streams only: the headers are in */
} qhub_transfer_state;

/* Strings may be NULL, and are copied. */
typedef struct {
  const char *proxy; /* NULL: as the environment says; "": none */
  const char *ca_file;
  const char *ca_path;
  const char *client_cert;
  const char *client_key;
  bool verify;
  int http_version; /* 11, 20, or 0: HTTP/2 where TLS offers it */
  long max_connections;
} qhub_session_config;

/* Strings are copied. A header line is "Name: value", checked by the caller, with a line feed after
** it. "Name:" alone stands for a header that is not to be sent, though it were by default. */
typedef struct {
  const char *method;
  const char *header_lines;
  double timeout;         /* seconds of silence once connected (and while queued) */
  double connect_timeout; /* seconds */
  size_t max_bytes;       /* bound of a body that is kept whole, decoded; SIZE_MAX: none */
  size_t stream;          /* 0: keep the body whole; else how many bytes are held before the network
                             is paused */
  bool once;              /* must not be sent twice: see transfer.c */
  bool decode;            /* ask for compression; what comes compressed is decoded anyway */
} qhub_request;

/* ---- engine ---- */

/* A new engine, or NULL with `*message` set to a literal. The caller frees it. */
qhub_engine *qhub_engine_new(const char **message);

/* Cancels its transfers and closes all connections. Idempotent. */
void qhub_engine_close(qhub_engine *engine);

/* Closes and frees. */
void qhub_engine_free(qhub_engine *engine);

/* Also true in a child of fork(). */
bool qhub_engine_is_closed(qhub_engine *engine);

/* Tells whether the host program was interrupted: whether a signal handler of its left a mark.
** Must not wait, nor call the engine. */
typedef bool (*qhub_interrupted)(void *user);

/* Moves things for at most `timeout` seconds (negative: until something happens), but returns
** early when a transfer is ready, at a signal, and when `interrupted(user)` says so, which is
** called four times a second: a signal that comes just before a wait does not end it. Returns how
** many transfers are ready. The engine must be open. */
size_t qhub_engine_step(qhub_engine *engine, double timeout, qhub_interrupted interrupted,
                        void *user);

/* Steps as `qhub_engine_step` does until `transfer` is ready or done, and clears the mark: true.
** False when another transfer is ready, at a signal, and after `timeout` seconds. */
bool qhub_engine_wait(qhub_engine *engine, qhub_transfer *transfer, double timeout,
                      qhub_interrupted interrupted, void *user);

/* Takes the next transfer that is ready, or NULL. */
qhub_transfer *qhub_engine_ready(qhub_engine *engine);

/* Becomes readable when `qhub_engine_step` has something to do; -1: there is no descriptor. */
int qhub_engine_pollfd(qhub_engine *engine);

/* Seconds until `qhub_engine_step` has something to do even if the descriptor stays quiet; 0: now;
** negative: no timer runs. Also brings the descriptor up to date: call it before every wait. */
double qhub_engine_timeout(qhub_engine *engine);

/* How many transfers are started and not done; how many of them wait for their turn. */
size_t qhub_engine_active(const qhub_engine *engine);
size_t qhub_engine_queued(const qhub_engine *engine);

/* ---- session ---- */

/* A new session of an open engine, or NULL when memory is short. The caller frees it. */
qhub_session *qhub_session_new(qhub_engine *engine, const qhub_session_config *config);

/* Cancels the session's transfers, which are ready then. Idempotent. */
void qhub_session_close(qhub_session *session);
void qhub_session_free(qhub_session *session);
bool qhub_session_is_closed(const qhub_session *session);

/* ---- prepared request ---- */

/* How many bytes one takes; makes one of so much memory, which stays with the caller. */
size_t qhub_prepared_size(const qhub_request *request);
void qhub_prepared_init(qhub_prepared *prepared, const qhub_request *request);

/* ---- transfer ---- */

/* A closed transfer; NULL when memory is short. The caller frees it. */
qhub_transfer *qhub_transfer_new(void);

/* Starts or queues a closed transfer. `url` (http or https, absolute) and `body` (NULL: none) are
** borrowed until it is closed, `prepared` until it is started again or freed. False when it cannot
** even start: it is then done and its failure says why; it will not be ready. */
bool qhub_transfer_start(qhub_transfer *transfer, qhub_session *session,
                         const qhub_prepared *prepared, const char *url, const char *body,
                         size_t body_length);

/* Aborts it if it is under way; it may then be started again. Idempotent, never blocks. */
void qhub_transfer_close(qhub_transfer *transfer);
void qhub_transfer_free(qhub_transfer *transfer);

/* What there is of a transfer that was started. */
typedef struct {
  qhub_transfer_state state;
  bool is_stream;              /* its body is taken piece by piece */
  const qhub_headers *headers; /* the block so far (of the final response: once open or done) */
  const char *held;            /* all of the body; of a stream the next bytes */
  size_t length;               /* of what is held */
  const qhub_failure *failure; /* of one that is done, or NULL */
} qhub_transfer_view;

/* It lives until the next change. */
qhub_transfer_view qhub_transfer_look(const qhub_transfer *transfer);

/* Streams: how many of the bytes held to write at `position` of a file: those that end with one of
** its blocks, or all if waiting would bring no more to them. */
size_t qhub_transfer_portion(const qhub_transfer *transfer, int64_t position);

/* Streams: removes the first `length` bytes held and continues receiving if it was paused. */
void qhub_transfer_take(qhub_transfer *transfer, size_t length);

#endif
