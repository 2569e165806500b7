/*
** Easy handles: every setting of a request is made here. See internal.h.
**
** An easy handle is used again for the next request of its session, without curl_easy_reset: most
** settings are the session's. It is used again only after a request that went well, so that no
** state of a broken one (held data, retry counts) can reach another. What a request sets is set or
** cleared for each request, or remembered in qhub_easy and set when it differs.
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

static void free_easy(qhub_easy *easy) {
  curl_easy_cleanup(easy->curl);
  curl_url_cleanup(easy->url);
  free(easy->url_text);
  free(easy);
}

/* Settings that a libcurl may lack without harm. */
static void set_optional(CURL *curl) {
  (void)curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  (void)curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  (void)curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
  (void)curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
  /* A slow resolver thread must not hold up a close. */
  (void)curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
#endif
}

/* Sets a string if there is one. */
static CURLcode set_string(CURL *curl, CURLoption option, const char *value) {
  return value != NULL ? curl_easy_setopt(curl, option, value) : CURLE_OK;
}

/* What is the same for all requests. Anything here that libcurl refuses is a failure: most of it is
** for safety. */
static CURLcode set_common(CURL *curl) {
  CURLcode code = curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
  if (code == CURLE_OK) code = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  if (code == CURLE_OK) {
    code = curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
  }
#endif
  if (code == CURLE_OK) code = curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  if (code == CURLE_OK) code = curl_easy_setopt(curl, CURLOPT_HTTP09_ALLOWED, 0L);
  if (code == CURLE_OK) code = curl_easy_setopt(curl, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  /* Decodes encoded bodies; Accept-Encoding is written in prepared.c. */
  if (code == CURLE_OK) code = curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
  return code;
}

/* Whom to trust: a file or folder of the caller's stands alone. libcurl would add what it was built
** to look at, so that a private authority were no protection from the public ones. The proxy's
** settings are for proxies that are spoken to over TLS. */
static CURLcode set_trust(CURL *curl, const qhub_session *session) {
  if (session->ca_file == NULL && session->ca_path == NULL) return CURLE_OK;
  (void)curl_easy_setopt(curl, CURLOPT_PROXY_CAINFO, session->ca_file);
  (void)curl_easy_setopt(curl, CURLOPT_PROXY_CAPATH, session->ca_path);
  CURLcode code = curl_easy_setopt(curl, CURLOPT_CAINFO, session->ca_file);
  if (code != CURLE_OK) return code;
  code = curl_easy_setopt(curl, CURLOPT_CAPATH, session->ca_path);
  return session->ca_path != NULL ? code : CURLE_OK; /* not every TLS library has folders */
}

/* What is the session's. */
static CURLcode set_session(CURL *curl, const qhub_session *session) {
  CURLcode code = set_string(curl, CURLOPT_PROXY, session->direct ? "" : session->proxy);
  if (code == CURLE_OK && session->direct) code = curl_easy_setopt(curl, CURLOPT_NOPROXY, "");
  if (code == CURLE_OK) code = set_trust(curl, session);
  if (code == CURLE_OK) code = set_string(curl, CURLOPT_SSLCERT, session->client_cert);
  if (code == CURLE_OK) code = set_string(curl, CURLOPT_SSLKEY, session->client_key);
  if (code == CURLE_OK && !session->verify) {
    code = curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    if (code == CURLE_OK) code = curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  return code;
}

static CURLcode make_easy(qhub_session *session, qhub_easy **made) {
  *made = NULL;
  qhub_easy *easy = calloc(1, sizeof *easy);
  if (easy == NULL) return CURLE_OUT_OF_MEMORY;
  easy->session = session;
  easy->curl = curl_easy_init();
  easy->url = curl_url();
  if (easy->curl == NULL || easy->url == NULL) {
    free_easy(easy);
    return CURLE_OUT_OF_MEMORY;
  }
  easy->http_version = -1;
  easy->dns_age = -1;
  easy->buffer_size = PLAIN_BUFFER;
  set_optional(easy->curl);
  CURLcode code = set_common(easy->curl);
  if (code == CURLE_OK) code = set_session(easy->curl, session);
  if (code == CURLE_OK) code = qhub_callbacks_install(easy);
  if (code != CURLE_OK) {
    free_easy(easy);
    return code;
  }
  *made = easy;
  return CURLE_OK;
}

/* Method and body. A POST with a body of our own is how libcurl sends any method with a body. */
static CURLcode set_method(qhub_easy *easy, const qhub_transfer *transfer) {
  CURL *curl = easy->curl;
  const char *method = transfer->prepared->request.method;
  bool has_body = transfer->upload.bytes != NULL;
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
    code = curl_easy_setopt(curl, CURLOPT_POST, 1L);
    if (code == CURLE_OK) {
      code =
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)transfer->upload.length);
    }
    if (code == CURLE_OK) {
      code = curl_easy_setopt(curl, CURLOPT_POSTFIELDS, has_body ? transfer->upload.bytes : "");
    }
  } else if (shape != easy->shape) {
    CURLoption option = shape == QHUB_SHAPE_HEAD ? CURLOPT_NOBODY : CURLOPT_HTTPGET;
    code = curl_easy_setopt(curl, option, 1L);
  }
  bool custom = strcmp(method, plain) != 0;
  if (code == CURLE_OK && (custom || easy->custom_method)) {
    code = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, custom ? method : NULL);
  }
  easy->custom_method = custom;
  easy->shape = shape;
  return code;
}

static long milliseconds(double seconds) {
  double ms = seconds * 1000.0;
  if (!(ms < (double)INT_MAX)) return INT_MAX;
  return ms >= 1.0 ? (long)ms : 1;
}

static CURLcode set_long(CURL *curl, CURLoption option, long *known, long value) {
  if (*known == value) return CURLE_OK;
  CURLcode code = curl_easy_setopt(curl, option, value);
  if (code == CURLE_OK) *known = value;
  return code;
}

/* What a multi is for. To wait and see whether a connection that is being made can be shared is
** right where it may turn out as HTTP/2, which is known after its TLS handshake; without TLS
** libcurl would wait for the end of the first transfer. A libcurl without HTTP/2 refuses the
** version, which matters only if it was asked for. */
static CURLcode set_version(qhub_easy *easy, const qhub_session *session, bool shared) {
  long version = shared ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;
  CURLcode code = set_long(easy->curl, CURLOPT_HTTP_VERSION, &easy->http_version, version);
  if (code != CURLE_OK && shared && session->http_version != 20) {
    shared = false;
    code = set_long(easy->curl, CURLOPT_HTTP_VERSION, &easy->http_version, CURL_HTTP_VERSION_1_1);
  }
  (void)set_long(easy->curl, CURLOPT_PIPEWAIT, &easy->pipewait, shared ? 1L : 0L);
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
static CURLcode set_url(qhub_easy *easy, const qhub_transfer *transfer) {
  if (easy->url_text != NULL && strcmp(easy->url_text, transfer->url) == 0) return CURLE_OK;
  free(easy->url_text);
  if (!qhub_copy_text(&easy->url_text, transfer->url)) return CURLE_OUT_OF_MEMORY;
  CURLUcode parsed =
    curl_url_set(easy->url, CURLUPART_URL, transfer->url, CURLU_PATH_AS_IS | CURLU_DISALLOW_USER);
  if (parsed == CURLUE_OUT_OF_MEMORY) return CURLE_OUT_OF_MEMORY;
  if (parsed != CURLUE_OK) return CURLE_URL_MALFORMAT;
  CURLcode code = curl_easy_setopt(easy->curl, CURLOPT_URL, transfer->url);
  if (code == CURLE_OK) code = curl_easy_setopt(easy->curl, CURLOPT_CURLU, easy->url);
  return code;
}

/* Which kept connections will do. libcurl counts the age of an idle one in whole seconds, rounded
** down; a start opens a new one rather than meet a server that is closing it. Where libcurl
** cannot report that it repeats a request, it must have no reason to. */
static CURLcode set_connection(qhub_easy *easy, const qhub_session *session,
                               const qhub_transfer *transfer, bool shared) {
  bool once = transfer->prepared->request.once;
  bool idle = session->engine->now - transfer->session->last_move > ONCE_CONNECTION_AGE;
  bool fresh = once && (!easy->counts_sends || idle || (shared && session->shared_version == 0));
  long age = once ? ONCE_CONNECTION_AGE : IDLE_CONNECTION_AGE;
  (void)set_long(easy->curl, CURLOPT_MAXAGE_CONN, &easy->max_age, age);
  (void)set_long(easy->curl, CURLOPT_DNS_CACHE_TIMEOUT, &easy->dns_age,
                 session->unreachable ? 0 : DNS_AGE);
  if (easy->closes) (void)curl_easy_setopt(easy->curl, CURLOPT_FORBID_REUSE, 0L);
  easy->closes = false;
  return set_long(easy->curl, CURLOPT_FRESH_CONNECT, &easy->fresh, fresh ? 1L : 0L);
}

static CURLcode set_request(qhub_easy *easy, const qhub_session *session,
                            const qhub_transfer *transfer, bool shared) {
  CURL *curl = easy->curl;
  CURLcode code = set_url(easy, transfer);
  struct curl_slist *lines = transfer->prepared->header_list;
  if (code == CURLE_OK) code = curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
  if (code == CURLE_OK) code = set_method(easy, transfer);
  if (code == CURLE_OK) code = set_version(easy, session, shared);
  if (code == CURLE_OK) {
    code = set_long(curl, CURLOPT_CONNECTTIMEOUT_MS, &easy->connect_timeout_ms,
                    milliseconds(transfer->prepared->request.connect_timeout));
  }
  /* Refused while libcurl still has the buffer of the request before; the old size does as well. */
  (void)set_long(curl, CURLOPT_BUFFERSIZE, &easy->buffer_size, buffer_size(transfer));
  if (code == CURLE_OK) code = qhub_callbacks_watch_upload(easy, transfer->upload.length > 0);
  if (code == CURLE_OK) code = set_connection(easy, session, transfer, shared);
  return code;
}

qhub_easy *qhub_easy_take(qhub_session *session, qhub_transfer *transfer, qhub_multi *multi) {
  bool shared = multi == &session->multis[QHUB_MULTI_SHARED];
  qhub_easy *easy = session->idle;
  CURLcode code = CURLE_OK;
  if (easy != NULL) {
    session->idle = easy->next;
    session->idle_count--;
  } else {
    code = make_easy(session, &easy);
  }
  if (code == CURLE_OK) code = set_request(easy, session, transfer, shared);
  if (code != CURLE_OK) {
    qhub_failure_set(transfer, code, QHUB_FAIL_NONE);
    if (easy != NULL) free_easy(easy);
    return NULL;
  }
  easy->error[0] = '\0';
  easy->multi = multi;
  easy->transfer = transfer;
  return easy;
}

void qhub_easy_give(qhub_session *session, qhub_easy *easy, bool clean) {
  bool had_body = easy->shape == QHUB_SHAPE_POST;
  easy->transfer = NULL;
  if (!clean || session->idle_count >= MOST_IDLE) {
    free_easy(easy);
    return;
  }
  if (had_body) {
    (void)curl_easy_setopt(easy->curl, CURLOPT_POSTFIELDS, NULL);
    easy->shape = QHUB_SHAPE_UNKNOWN;
  }
  easy->next = session->idle;
  session->idle = easy;
  session->idle_count++;
}

void qhub_easies_free(qhub_session *session) {
  while (session->idle != NULL) {
    qhub_easy *easy = session->idle;
    session->idle = easy->next;
    free_easy(easy);
  }
  session->idle_count = 0;
}
