/*
** What the files of the HTTP engine share: the structs behind engine.h. The one header that
** includes curl.h.
**
**   engine.c      life and step
**   session.c     the queue: starts, ends and collects transfers
**   transfer.c    one request inside libcurl
**   easy.c        easy handles: settings of a session and of a request
**   multi.c       multi handles: connections, what libcurl calls for them
**   callbacks.c   what libcurl calls for a transfer
**   failure.c     failure kinds and messages
**   prepared.c    what many requests have in common
**   fork.c        what a child of fork() lets go of
**   sockets.c     descriptors that libcurl wants watched, and the wait for them
**
** Each calls only those below it.
**
** Rules: libcurl's callbacks only record things (and may pause); removing a handle, finishing a
** transfer and everything else that frees happens after libcurl has returned.
*/
#ifndef QHUB_ENGINE_INTERNAL_H
#define QHUB_ENGINE_INTERNAL_H

#include <curl/curl.h>
#include <poll.h>
#include <sys/types.h>
#include <time.h>

#include "../fs/signals.h"
#include "engine.h"
#include "list.h"

enum { QHUB_BATCH = 64 /* descriptors that are reported at once */ };

enum { QHUB_MULTI_PLAIN = 0, QHUB_MULTI_SHARED, QHUB_MULTIS };

/* One multi handle. A session has two, since libcurl 7.88 may put a request that could share
** an HTTP/2 connection onto an HTTP/1.1 connection to the same host that is busy with another one
** (ConnectionExists in its url.c). */
typedef struct {
  qhub_session *session;
  CURLM *curl;  /* NULL: to be made when needed */
  double timer; /* when libcurl wants to be called; INFINITY: never */
  bool broken;  /* a descriptor could not be watched: what is under way is given up */
} qhub_multi;

/* What is known about one descriptor. */
typedef struct {
  qhub_multi *multi; /* who wants it watched */
  short wanted;      /* POLLIN, POLLOUT, or both: what for; 0: not at all */
  bool dirty;        /* the system may have to be told */
  int next_dirty;    /* -1: the last one */
  enum {
    QHUB_SOCKET_FOREIGN = 0, /* libcurl's own */
    QHUB_SOCKET_OPENED,      /* opened, and to be closed, by our own callbacks */
    QHUB_SOCKET_ESTABLISHED  /* and was watched for reading: its end will be reported */
  } kind;
} qhub_socket;

/* The descriptors that libcurl wants watched. */
typedef struct {
  int fd;                /* of epoll; -1: closed, or there is none */
  qhub_socket *table;    /* owned, indexed by descriptor */
  struct pollfd *polled; /* owned, too: `events` is what the system was told; fd -1: nothing */
  size_t capacity;
  int first_dirty; /* -1: none */
} qhub_sockets;

struct qhub_engine {
  pid_t maker; /* the process that may use it */
  bool closed;
  bool guard_sigpipe;
  double now; /* read before and after each wait */
  qhub_sockets sockets;
  double check_at; /* when a transfer may have been silent for too long; INFINITY: never */
  qhub_link sessions;
  qhub_link ready;     /* transfers that something happened to, not polled yet */
  size_t active_count; /* transfers started and not done */
  size_t queued_count; /* those of them that wait for their turn */
};

/* The ways in which libcurl sends requests; the method's name can be anything. */
typedef enum {
  QHUB_SHAPE_UNKNOWN = 0,
  QHUB_SHAPE_GET,
  QHUB_SHAPE_HEAD,
  QHUB_SHAPE_POST
} qhub_shape;

/* Settings of a request that are numbers: see easy.c. */
enum { QHUB_FORBID_REUSE = 0, QHUB_SETTINGS = 9 };

/* An easy handle and what was set on it last: settings are made again only where they differ. */
typedef struct qhub_easy {
  struct qhub_easy *next; /* in session->idle */
  CURL *curl;
  char *url_text;       /* owned: the URL of the last request; NULL: none yet */
  CURLU *url;           /* the same, taken apart as far as libcurl is to know it */
  size_t origin_length; /* how much of the text that is; 0: all */
  qhub_session *session;
  qhub_multi *multi;       /* in which it is */
  qhub_transfer *transfer; /* NULL while idle */
  qhub_shape shape;
  bool custom_method;
  bool counts_sends; /* libcurl reports each request before it goes out */
  long settings[QHUB_SETTINGS];
  char error[CURL_ERROR_SIZE];
} qhub_easy;

struct qhub_session {
  qhub_link link;                 /* in engine->sessions */
  qhub_engine *engine;            /* NULL: closed */
  bool is_left;                   /* ... since it is the parent's of this process */
  qhub_multi multis[QHUB_MULTIS]; /* HTTP/1.1 only; HTTP/2 where it is offered */
  qhub_link queue;                /* transfers that wait for their turn, the oldest first */
  qhub_link active;               /* those inside libcurl */
  long active_count;              /* `max_connections` at most */
  double last_move; /* when one of them last ended, or had something from the network */
  qhub_easy *idle;
  size_t idle_count;
  CURL *model;        /* has the settings of the session; easy handles are copies of it */
  CURLcode refusal;   /* why it does not have all of them */
  bool is_direct;     /* no proxy is ever asked */
  bool may_share;     /* HTTP/2 is allowed */
  bool unreachable;   /* the last connection could not be made: its address may be old */
  int shared_version; /* of the last response where HTTP/2 was offered; 0: none yet */
  long max_connections;
};

/* Immutable; method and lines are in the same block. */
struct qhub_prepared {
  qhub_request request;
  struct curl_slist *header_list;
  size_t header_count;
};

/* The body of a request, and how much of it is on its way. */
typedef struct {
  const char *bytes; /* borrowed; NULL: none */
  size_t length;
  curl_off_t sent; /* as libcurl counts */
  int fd;          /* where it waited to be sent; -1: nowhere */
  int unsent;      /* what the system held back when last checked; 0: not checked */
} qhub_upload;

struct qhub_transfer {
  qhub_session *session; /* NULL unless queued or active */
  qhub_easy *easy;       /* NULL unless active; then it is in a multi */
  qhub_link link;        /* in the session's queue, or among its active ones */
  qhub_link ready_link;  /* in the engine's list of those that are ready */
  qhub_transfer_state state;
  const qhub_prepared *prepared; /* borrowed; NULL before the first start */
  const char *url;               /* borrowed */
  qhub_upload upload;

  /* recorded by the callbacks */
  double last_activity;
  bool sent;                     /* the request went onto a connection */
  bool refused;                  /* libcurl wanted to send it again */
  bool opened;                   /* a connection was opened for it */
  bool paused;                   /* its reader has enough for now */
  bool answered;                 /* a line or a byte of the response came */
  bool head_cut;                 /* the head of the response is larger than the limit */
  bool no_descriptor;            /* the system had none for a connection */
  qhub_failure_kind stopped_for; /* why a callback stopped it */

  qhub_headers headers;
  qhub_buffer body;
  qhub_failure failure;
};

/* Puts a transfer on the list of those that are ready, if it is not there already. */
static inline void qhub_mark_ready(qhub_engine *engine, qhub_transfer *transfer) {
  if (qhub_link_is_single(&transfer->ready_link)) {
    qhub_link_append(&engine->ready, &transfer->ready_link);
  }
}

/* Has the silence of transfers checked at `time`, if that is not due earlier. */
static inline void qhub_check_at(qhub_engine *engine, double time) {
  if (time < engine->check_at) engine->check_at = time;
}

/* Seconds of a clock that is never set back. */
static inline double qhub_monotonic(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- fork.c ---- */

/* Whether the engine is another process's: then it is closed now, with all that belongs to it, and
** nothing of it can be used. Comes before everything that could touch a connection. */
bool qhub_engine_left(qhub_engine *engine);

/* Frees what an engine without sessions holds, and closes it. */
void qhub_engine_release(qhub_engine *engine);

/* Says why what was left is of no use. */
void qhub_failure_left(qhub_failure *failure);

/* ---- sockets.c ---- */

/* False: the system gives no descriptor. */
bool qhub_sockets_open(qhub_sockets *sockets);
void qhub_sockets_close(qhub_sockets *sockets);

/* Makes room for descriptor `fd`; false when memory is short. */
bool qhub_sockets_reserve(qhub_sockets *sockets, int fd);

/* Our callbacks have opened `fd`: what was known of that number is stale; are about to close it. */
void qhub_sockets_opened(qhub_sockets *sockets, int fd);
void qhub_sockets_closing(qhub_sockets *sockets, int fd);

/* libcurl wants `fd` watched for `events`. Marks the multi as broken when memory is short. */
void qhub_sockets_want(qhub_sockets *sockets, qhub_multi *multi, int fd, int events);

/* Tells the system what has changed. The multi of what cannot be watched becomes broken. */
void qhub_sockets_flush(qhub_sockets *sockets);

/* Waits at most `seconds` (0: only looks). Sets `fd` and `revents` of at most QHUB_BATCH entries;
** returns how many, or -1 when a signal ended the wait. */
int qhub_sockets_wait(qhub_sockets *sockets, double seconds, struct pollfd *ready);

/* ---- callbacks.c ---- */

void qhub_callbacks_install(qhub_easy *easy); /* once for each easy handle */

/* ---- failure.c ---- */

/* Fills in `transfer->failure`; its handle is still there if libcurl failed. */
void qhub_failure_set(qhub_transfer *transfer, CURLcode code, qhub_failure_kind kind);

/* ---- multi.c ---- */

/* Makes the multi handle if there is none; false when memory is short. */
bool qhub_multi_open(qhub_multi *multi);
void qhub_multi_close(qhub_multi *multi); /* with its connections */

/* Lets libcurl act on a descriptor (CURL_SOCKET_TIMEOUT: on its timers). */
void qhub_multi_act(qhub_multi *multi, curl_socket_t fd, int events);

/* Round every call into libcurl that may write: keeps a SIGPIPE from the host program where libcurl
** does not. Ends with `qhub_signal_release`. */
qhub_held_signal qhub_hold_sigpipe(const qhub_engine *engine);

/* ---- easy.c ---- */

/* Makes the model of a session's easy handles; false when memory is short. */
bool qhub_easy_model(qhub_session *session, const qhub_session_config *config);

/* Puts an easy handle for the transfer into the multi: NULL when memory is short or libcurl refuses
** a setting; the transfer's failure then says which. */
qhub_easy *qhub_easy_take(qhub_session *session, qhub_transfer *transfer, qhub_multi *multi);

/* Takes it out and keeps it (`clean`: it may be used again). */
void qhub_easy_give(qhub_easy *easy, bool clean);

void qhub_easies_free(qhub_session *session); /* those that are idle, and their model */

/* ---- transfer.c ---- */

/* Hands a queued or new transfer to libcurl. False: it is not; `failure` is set. */
bool qhub_transfer_activate(qhub_transfer *transfer);

/* Takes it out of everything that belongs to an engine, except the list of ready ones. `clean`: its
** easy handle may be used again. */
void qhub_transfer_detach(qhub_transfer *transfer, bool clean);

/* libcurl has finished it: settles it, or starts it over if that is safe. */
void qhub_transfer_finish(qhub_transfer *transfer, CURLcode code);

/* libcurl is through with it, or (code CURLE_OK and `kind` given) we are: detaches it, sets failure
** and state, marks it as ready. */
void qhub_transfer_settle(qhub_transfer *transfer, CURLcode code, qhub_failure_kind kind);

/* Whether it has been silent for too long: it ends, then. Else sees to it that this is checked
** again in time. */
bool qhub_transfer_check_silence(qhub_transfer *transfer);

/* ---- session.c ---- */

/* Finishes the transfers that libcurl is through with, and all of a broken multi; starts what
** waited for that. */
void qhub_session_collect(qhub_session *session);

/* Ends the transfers that were silent for too long, and starts what waited for that. */
void qhub_session_check_silence(qhub_session *session);

#endif
