/*
** What the files of the HTTP engine share: the structs behind engine.h. The one header that
** includes curl.h.
**
**   engine.c      life and step
**   session.c     settings; the queue: starts, ends and collects transfers
**   transfer.c    one request inside libcurl
**   easy.c        easy handles: settings of a request
**   multi.c       multi handles: connections
**   failure.c     failure kinds and messages
**   callbacks.c   what libcurl calls
**   prepared.c    what many requests have in common
**   ready.c       which transfers something happened to
**   sockets.c     descriptors that libcurl wants watched
**
** Each calls only those below it.
**
** Rules: libcurl's callbacks only record things (and may pause); removing a handle, finishing a
** transfer and everything else that frees happens after libcurl has returned.
*/
#ifndef QHUB_ENGINE_INTERNAL_H
#define QHUB_ENGINE_INTERNAL_H

#include <curl/curl.h>
#include <sys/types.h>

#include "../fs/signals.h"
#include "engine.h"
#include "list.h"
#include "poller.h"
#include "timers.h"

enum {
  QHUB_HEADER_LIMIT = 256 * 1024,        /* bytes of header fields in one response */
  QHUB_OVERRUN_LIMIT = 128 * 1024 * 1024 /* bytes that a paused stream may still be handed:
                                             libcurl decodes what it has read already */
};

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
  qhub_multi *multi;   /* whose multi handle it belongs to */
  unsigned wanted;     /* what libcurl wants it watched for */
  unsigned registered; /* what the poller watches it for */
  bool owned;          /* opened and closed by our own callbacks */
  bool established;    /* was watched for reading: its end will be reported */
  bool dirty;          /* is in the list of changes */
} qhub_socket;

typedef struct {
  qhub_socket *table; /* owned, indexed by descriptor */
  int *dirty;         /* owned, as long as the table: descriptors to bring up to date */
  size_t capacity;
  size_t dirty_count;
} qhub_sockets;

struct qhub_engine {
  pid_t maker; /* the process that may use it */
  bool closed;
  bool guard_sigpipe;
  const char *encodings; /* value of Accept-Encoding where responses may come encoded */
  double now;            /* read before and after each wait */
  qhub_poller poller;
  qhub_sockets sockets;
  qhub_timers timers; /* one per transfer under way */
  qhub_link sessions;
  qhub_link ready; /* those that something happened to */
  size_t ready_count;
  size_t active_count;
  size_t queued_count;
};

/* The ways in which libcurl sends requests; the method's name can be anything. */
typedef enum {
  QHUB_SHAPE_UNKNOWN = 0,
  QHUB_SHAPE_GET,
  QHUB_SHAPE_HEAD,
  QHUB_SHAPE_POST
} qhub_shape;

/* An easy handle and what was set on it last: settings are made again only where they differ. */
typedef struct qhub_easy {
  struct qhub_easy *next; /* in session->idle */
  CURL *curl;
  CURLU *url;     /* the URL of the last request, taken apart */
  char *url_text; /* owned: the same as text; NULL: none yet */
  qhub_session *session;
  qhub_transfer *transfer; /* NULL while idle */
  qhub_shape shape;
  bool custom_method;
  bool progress;
  bool counts_sends; /* libcurl reports each request before it goes out */
  long http_version;
  long pipewait;
  long connect_timeout_ms;
  long buffer_size;
  long max_age; /* seconds that a kept connection may have been idle */
  long fresh;   /* a connection of its own */
  long dns_age; /* seconds that a resolved name is remembered */
  bool closes;  /* its connection is not kept */
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
  bool direct;                                                /* no proxy for any host */
  char *proxy, *ca_file, *ca_path, *client_cert, *client_key; /* owned */
  bool verify;
  int http_version;
  bool unreachable;   /* the last connection could not be made: its address may be old */
  int shared_version; /* of the last response where HTTP/2 was offered; 0: none yet */
  long max_connections;
};

/* Immutable once it is complete; method and lines are in the same block. */
struct qhub_prepared {
  size_t references;
  qhub_request request;
  struct curl_slist *header_list;
  size_t header_count;
  char *header_text; /* where the next line goes */
};

struct qhub_transfer {
  qhub_session *session; /* NULL unless queued or active */
  qhub_easy *easy;       /* NULL unless active; then it is in the multi */
  qhub_multi *multi;
  qhub_link link; /* in the session's queue, or among its active ones */
  qhub_link ready_link;
  qhub_engine *ready_engine; /* whose list `ready_link` is in */
  qhub_timer timer;
  qhub_transfer_state state;

  /* the request; the URL is in the same block as the struct, `upload` is borrowed */
  qhub_prepared *prepared; /* a reference */
  const char *url;
  const char *upload;
  size_t upload_length;

  /* progress, recorded by the callbacks */
  double last_activity;
  unsigned sends; /* how often the request went onto a connection */
  bool refused;   /* libcurl wanted to send it again, once at least */
  bool opened;    /* a connection was opened for it */
  bool reused;    /* the first send went over a kept connection */
  bool paused;
  bool answered;      /* a line or a byte of the response came */
  bool head_cut;      /* the head of the response is larger than the limit */
  bool no_descriptor; /* the system had none for a connection */
  curl_off_t uploaded;
  int upload_fd; /* -1 until sending the body had to wait */
  int unsent;    /* what of the body the system held back when last checked; 0: not checked */
  qhub_failure_kind verdict; /* why a callback stopped the transfer */

  /* the response */
  qhub_headers headers;
  qhub_buffer body;
  size_t body_start; /* streams: what is before it was taken */
  size_t sent_bytes;
  qhub_failure failure;
};

/* ---- fork.c ---- */

/* Whether the engine is another process's: then it is closed now, with all that belongs to it, and
** nothing of it can be used. Comes before everything that could touch a connection. */
bool qhub_engine_left(qhub_engine *engine);

/* Says in the failure of what is refused by a closed session when fork() is the reason. */
void qhub_session_explain(const qhub_session *session, qhub_failure *failure);

/* ---- ready.c ---- */

/* Puts the transfer on the list of those that are ready, if it is not there already. */
void qhub_mark_ready(qhub_engine *engine, qhub_transfer *transfer);

/* Takes it off again. */
void qhub_clear_ready(qhub_transfer *transfer);

/* ---- sockets.c ---- */

void qhub_sockets_init(qhub_sockets *sockets);
void qhub_sockets_free(qhub_sockets *sockets);

/* Makes room for descriptor `fd`; false when memory is short. */
bool qhub_sockets_reserve(qhub_sockets *sockets, int fd);

/* `fd` was opened just now by our callback: anything that the poller knew by that number is stale.
** */
void qhub_sockets_opened(qhub_sockets *sockets, int fd);

/* `fd` is about to be closed. */
void qhub_sockets_closing(qhub_engine *engine, int fd);

/* libcurl wants `fd` watched for `events`. Marks the multi as broken when memory is short. */
void qhub_sockets_want(qhub_engine *engine, qhub_multi *multi, int fd, unsigned events);

/* Passes changes to the poller. The multi of what cannot be watched becomes broken. */
void qhub_sockets_flush(qhub_engine *engine);

/* ---- callbacks.c ---- */

/* Installs the callbacks that never change on a new easy handle. */
CURLcode qhub_callbacks_install(qhub_easy *easy);

/* The progress callback is wanted while there is a body to send only (`on`), since it costs time;
** always where libcurl does not report what it sends. */
CURLcode qhub_callbacks_watch_upload(qhub_easy *easy, bool on);

/* Multi handle callbacks. */
CURLMcode qhub_callbacks_install_multi(qhub_multi *multi);

/* ---- failure.c ---- */

/* Fills in `transfer->failure`; its handle is still there if libcurl failed. */
void qhub_failure_set(qhub_transfer *transfer, CURLcode code, qhub_failure_kind kind);

/* ---- multi.c ---- */

/* Makes the multi handle if there is none; false when memory is short. */
bool qhub_multi_open(qhub_multi *multi);

/* Lets go of it and its connections. */
void qhub_multi_close(qhub_multi *multi);

/* Lets libcurl act on a descriptor (CURL_SOCKET_TIMEOUT: on its timers). */
void qhub_multi_act(qhub_multi *multi, curl_socket_t fd, int events);

/* Round every call into libcurl that may write: keeps a SIGPIPE from the host program where libcurl
** does not. */
void qhub_sigpipe_begin(const qhub_engine *engine, qhub_held_signal *held);
void qhub_sigpipe_end(qhub_held_signal *held);

/* ---- easy.c ---- */

/* Copies `from` to `*to`; false when memory is short. */
bool qhub_copy_text(char **to, const char *from);

/* An easy handle for the transfer, to be put into the multi: NULL when memory is short or libcurl
** refuses a setting; the transfer's failure then says which. */
qhub_easy *qhub_easy_take(qhub_session *session, qhub_transfer *transfer, const qhub_multi *multi);

/* Gives it back (`clean`: it may be used again). It must not be in a multi handle. */
void qhub_easy_give(qhub_session *session, qhub_easy *easy, bool clean);

/* Frees those that are idle. */
void qhub_easies_free(qhub_session *session);

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

/* When it has been silent for too long, by what is known now. */
double qhub_transfer_silence_ends(const qhub_transfer *transfer, double now);

/* Whether the end of a body is still on its way: libcurl is through with it as soon as the system
** has taken it, and that may be megabytes on a slow line. */
bool qhub_transfer_upload_moves(qhub_transfer *transfer);

/* ---- session.c ---- */

/* Finishes the transfers that libcurl is through with, and all of a broken multi; starts what
** waited for that. */
void qhub_session_collect(qhub_session *session);

/* The timer of a transfer fired: ends it if it was silent for too long, else sets it again. */
void qhub_transfer_check_silence(qhub_transfer *transfer);

#endif
