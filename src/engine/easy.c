/*
** Easy handles: every setting of a request is made here. See internal.h.
**
** An easy handle is used again for the next request of its session, without curl_easy_reset: most
** settings are the session's. It is used again only after a request that went well, so that no
** state of a broken one (held data, retry counts) can reach another. What a request sets is set or
** cleared for each request, or remembered in qhub_handle and set when it differs.
*/
#include "internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
  MOST_IDLE = 64,              /* idle easy handles kept by a session: as many as usually work */
  LARGEST_BUFFER = 256 * 1024, /* of one read; more does not make streams faster */
  PLAIN_BUFFER = 16 * 1024,    /* libcurl's default, and enough for most responses */
  IDLE_CONNECTION_AGE = 60,    /* seconds; beyond it servers have often hung up */
  ONCE_CONNECTION_AGE = 1,     /* the same for what cannot be sent again */
  DNS_AGE = 60                 /* seconds; names move */
};

/* Copies `from` to `*to`; false when memory is short. */
bool qhub_copy_text(char **to, const char *from) {
  *to = NULL;
  if (from == NULL) return true;
  size_t size = strlen(from) + 1;
  *to = malloc(size);
  if (*to != NULL) memcpy(*to, from, size);
  return *to != NULL;
}

static void free_handle(qhub_handle *handle) {
  curl_easy_cleanup(handle->easy);
  curl_url_cleanup(handle->url);
  free(handle->url_text);
  free(handle);
}

/* Settings that a libcurl may lack without harm. */
static void set_optional(CURL *easy) {
  (void)curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  (void)curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  (void)curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
  /* A slow resolver thread must not hold up a close. */
  (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

/* Sets a string if there is one. */
static CURLcode set_string(CURL *easy, CURLoption option, const char *value) {
  return value != NULL ? curl_easy_setopt(easy, option, value) : CURLE_OK;
}

/* What is the same for all requests. Anything here that libcurl refuses is a failure: most of it is
** for safety. */
static CURLcode set_common(CURL *easy) {
  CURLcode code = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  if (code == CURLE_OK) {
    code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
  }
#endif
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  /* Decodes encoded bodies; Accept-Encoding is written in prepared.c. */
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  return code;
}

/* Whom to trust: a file or folder of the caller's stands alone. libcurl would add what it was built
** to look at, so that a private authority were no protection from the public ones. The proxy's
** settings are for proxies that are spoken to over TLS. */
static CURLcode set_trust(CURL *easy, const qhub_session *session) {
  if (session->ca_file == NULL && session->ca_path == NULL) return CURLE_OK;
  (void)curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, session->ca_file);
  (void)curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, session->ca_path);
  CURLcode code = curl_easy_setopt(easy, CURLOPT_CAINFO, session->ca_file);
  if (code != CURLE_OK) return code;
  code = curl_easy_setopt(easy, CURLOPT_CAPATH, session->ca_path);
  return session->ca_path != NULL ? code : CURLE_OK; /* not every TLS library has folders */
}

/* What is the session's. */
static CURLcode set_session(CURL *easy, const qhub_session *session) {
  CURLcode code = set_string(easy, CURLOPT_PROXY, session->direct ? "" : session->proxy);
  if (code == CURLE_OK && session->direct) code = curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
  if (code == CURLE_OK) code = set_trust(easy, session);
  if (code == CURLE_OK) code = set_string(easy, CURLOPT_SSLCERT, session->client_cert);
  if (code == CURLE_OK) code = set_string(easy, CURLOPT_SSLKEY, session->client_key);
  if (code == CURLE_OK && !session->verify) {
    code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  return code;
}

static CURLcode make_handle(qhub_session *session, qhub_handle **made) {
  *made = NULL;
  qhub_handle *handle = calloc(1, sizeof *handle);
  if (handle == NULL) return CURLE_OUT_OF_MEMORY;
  handle->session = session;
  handle->easy = curl_easy_init();
  handle->url = curl_url();
  if (handle->easy == NULL || handle->url == NULL) {
    free_handle(handle);
    return CURLE_OUT_OF_MEMORY;
  }
  handle->http_version = -1;
  handle->dns_age = -1;
  handle->buffer_size = PLAIN_BUFFER;
  set_optional(handle->easy);
  CURLcode code = set_common(handle->easy);
  if (code == CURLE_OK) code = set_session(handle->easy, session);
  if (code == CURLE_OK) code = qhub_callbacks_install(handle);
  if (code != CURLE_OK) {
    free_handle(handle);
    return code;
  }
  *made = handle;
  return CURLE_OK;
}

/* Method and body. A POST with a body of our own is how libcurl sends any method with a body. */
static CURLcode set_method(qhub_handle *handle, const qhub_transfer *transfer) {
  CURL *easy = handle->easy;
  const char *method = transfer->prepared->request.method;
  bool has_body = transfer->upload != NULL;
  qhub_shape shape = QHUB_SHAPE_GET;
  const char *plain = "GET";
  if (has_body || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
      strcmp(method, "PATCH") == 0) {
    shape = QHUB_SHAPE_POST;
    plain = "POST";
  } else if (strcmp(method, "HEAD") == 0) {
    shape = QHUB_SHAPE_HEAD;
    plain = "HEAD";
  }
  CURLcode code = CURLE_OK;
  if (shape == QHUB_SHAPE_POST) {
    code = curl_easy_setopt(easy, CURLOPT_POST, 1L);
    if (code == CURLE_OK) {
      code =
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)transfer->upload_length);
    }
    if (code == CURLE_OK) {
      code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, has_body ? transfer->upload : "");
    }
  } else if (shape != handle->shape) {
    CURLoption option = shape == QHUB_SHAPE_HEAD ? CURLOPT_NOBODY : CURLOPT_HTTPGET;
    code = curl_easy_setopt(easy, option, 1L);
  }
  bool custom = strcmp(method, plain) != 0;
  if (code == CURLE_OK && (custom || handle->custom_method)) {
    code = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, custom ? method : NULL);
  }
  handle->custom_method = custom;
  handle->shape = shape;
  return code;
}

static long milliseconds(double seconds) {
  double ms = seconds * 1000.0;
  if (!(ms < (double)INT_MAX)) return INT_MAX;
  return ms >= 1.0 ? (long)ms : 1;
}

static CURLcode set_long(CURL *easy, CURLoption option, long *known, long value) {
  if (*known == value) return CURLE_OK;
  CURLcode code = curl_easy_setopt(easy, option, value);
  if (code == CURLE_OK) *known = value;
  return code;
}

/* What a multi is for. To wait and see whether a connection that is being made can be shared is
** right where it may turn out as HTTP/2, which is known after its TLS handshake; without TLS
** libcurl would wait for the end of the first transfer. A libcurl without HTTP/2 refuses the
** version, which matters only if it was asked for. */
static CURLcode set_version(qhub_handle *handle, const qhub_session *session, bool shared) {
  long version = shared ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;
  CURLcode code = set_long(handle->easy, CURLOPT_HTTP_VERSION, &handle->http_version, version);
  if (code != CURLE_OK && shared && session->http_version != 20) {
    shared = false;
    code =
      set_long(handle->easy, CURLOPT_HTTP_VERSION, &handle->http_version, CURL_HTTP_VERSION_1_1);
  }
  (void)set_long(handle->easy, CURLOPT_PIPEWAIT, &handle->pipewait, shared ? 1L : 0L);
  return code;
}

/* A stream reads about as much at a time as it may hold, since one read is never cut short. */
static long buffer_size(const qhub_transfer *transfer) {
  size_t stream = transfer->prepared->request.stream;
  if (stream <= PLAIN_BUFFER) return PLAIN_BUFFER;
  return stream < LARGEST_BUFFER ? (long)stream : LARGEST_BUFFER;
}

/* The URL as text and taken apart. With text alone libcurl would take it apart for each request and
** write it anew, at a fifth of the cost of a small request (parseurlandfillconn in 7.88's url.c).
** Here is also where what is no http or https URL, or has a user in it, is refused. */
static CURLcode set_url(qhub_handle *handle, const qhub_transfer *transfer) {
  if (handle->url_text != NULL && strcmp(handle->url_text, transfer->url) == 0) return CURLE_OK;
  free(handle->url_text);
  if (!qhub_copy_text(&handle->url_text, transfer->url)) return CURLE_OUT_OF_MEMORY;
  CURLUcode parsed =
    curl_url_set(handle->url, CURLUPART_URL, transfer->url, CURLU_PATH_AS_IS | CURLU_DISALLOW_USER);
  if (parsed == CURLUE_OUT_OF_MEMORY) return CURLE_OUT_OF_MEMORY;
  if (parsed != CURLUE_OK) return CURLE_URL_MALFORMAT;
  CURLcode code = curl_easy_setopt(handle->easy, CURLOPT_URL, transfer->url);
  if (code == CURLE_OK) code = curl_easy_setopt(handle->easy, CURLOPT_CURLU, handle->url);
  return code;
}

/* Which kept connections will do. libcurl counts the age of an idle one in whole seconds, rounded
** down; a start opens a new one rather than meet a server that is closing it. Where libcurl
** cannot report that it repeats a request, it must have no reason to. */
static CURLcode set_connection(qhub_handle *handle, const qhub_session *session,
                               const qhub_transfer *transfer, bool shared) {
  bool once = transfer->prepared->request.once;
  bool idle = session->engine->now - transfer->session->last_move > ONCE_CONNECTION_AGE;
  bool fresh = once && (!handle->counts_sends || idle || (shared && session->shared_version == 0));
  long age = once ? ONCE_CONNECTION_AGE : IDLE_CONNECTION_AGE;
  (void)set_long(handle->easy, CURLOPT_MAXAGE_CONN, &handle->max_age, age);
  (void)set_long(handle->easy, CURLOPT_DNS_CACHE_TIMEOUT, &handle->dns_age,
                 session->unreachable ? 0 : DNS_AGE);
  if (handle->closes) (void)curl_easy_setopt(handle->easy, CURLOPT_FORBID_REUSE, 0L);
  handle->closes = false;
  return set_long(handle->easy, CURLOPT_FRESH_CONNECT, &handle->fresh, fresh ? 1L : 0L);
}

static CURLcode set_request(qhub_handle *handle, const qhub_session *session,
                            const qhub_transfer *transfer, bool shared) {
  CURL *easy = handle->easy;
  CURLcode code = set_url(handle, transfer);
  struct curl_slist *lines = transfer->prepared->header_list;
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, lines);
  if (code == CURLE_OK) code = set_method(handle, transfer);
  if (code == CURLE_OK) code = set_version(handle, session, shared);
  if (code == CURLE_OK) {
    code = set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, &handle->connect_timeout_ms,
                    milliseconds(transfer->prepared->request.connect_timeout));
  }
  /* Refused while libcurl still has the buffer of the request before; the old size does as well. */
  (void)set_long(easy, CURLOPT_BUFFERSIZE, &handle->buffer_size, buffer_size(transfer));
  if (code == CURLE_OK) code = qhub_callbacks_watch_upload(handle, transfer->upload_length > 0);
  if (code == CURLE_OK) code = set_connection(handle, session, transfer, shared);
  return code;
}

qhub_handle *qhub_handle_take(qhub_session *session, qhub_transfer *transfer,
                              const qhub_multi *multi) {
  bool shared = multi == &session->multis[QHUB_MULTI_SHARED];
  qhub_handle *handle = session->idle;
  CURLcode code = CURLE_OK;
  if (handle != NULL) {
    session->idle = handle->next;
    session->idle_count--;
  } else {
    code = make_handle(session, &handle);
  }
  if (code == CURLE_OK) code = set_request(handle, session, transfer, shared);
  if (code != CURLE_OK) {
    qhub_failure_set(transfer, code, QHUB_FAIL_NONE);
    if (handle != NULL) free_handle(handle);
    return NULL;
  }
  handle->error[0] = '\0';
  handle->transfer = transfer;
  return handle;
}

void qhub_handle_give(qhub_session *session, qhub_handle *handle, bool clean) {
  bool had_body = handle->shape == QHUB_SHAPE_POST;
  handle->transfer = NULL;
  if (!clean || session->idle_count >= MOST_IDLE) {
    free_handle(handle);
    return;
  }
  if (had_body) {
    (void)curl_easy_setopt(handle->easy, CURLOPT_POSTFIELDS, NULL);
    handle->shape = QHUB_SHAPE_UNKNOWN;
  }
  handle->next = session->idle;
  session->idle = handle;
  session->idle_count++;
}

void qhub_handles_free(qhub_session *session) {
  while (session->idle != NULL) {
    qhub_handle *handle = session->idle;
    session->idle = handle->next;
    free_handle(handle);
  }
  session->idle_count = 0;
}
