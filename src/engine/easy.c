/*
** Easy handles: every setting of a session and of a request is made here. See internal.h.
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

typedef struct {
  CURLoption option;
  long value;
} setting;

static void free_easy(qhub_easy *easy) {
  curl_easy_cleanup(easy->curl);
  curl_url_cleanup(easy->url);
  free(easy->url_text);
  free(easy);
}

/* What is the same for all requests. Anything here that libcurl refuses is a failure: most of it is
** for safety. */
static CURLcode set_common(CURL *curl) {
  static const setting settings[] = {
    {CURLOPT_NOSIGNAL, 1},
    {CURLOPT_FOLLOWLOCATION, 0},
    {CURLOPT_HTTP09_ALLOWED, 0},
    {CURLOPT_DISALLOW_USERNAME_IN_URL, 1},
    {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1},
    {CURLOPT_PATH_AS_IS, 1},
    {CURLOPT_TCP_KEEPALIVE, 1},
    {CURLOPT_TCP_NODELAY, 1},
#if LIBCURL_VERSION_NUM < 0x075500
    {CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS},
#endif
  };
  for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
    CURLcode code = curl_easy_setopt(curl, settings[i].option, settings[i].value);
    if (code != CURLE_OK) return code;
  }
#if LIBCURL_VERSION_NUM >= 0x075700
  /* A slow resolver thread must not hold up a close. The libcurl that is loaded may be older. */
  (void)curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
#endif
#if LIBCURL_VERSION_NUM >= 0x075500
  CURLcode code = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  if (code != CURLE_OK) return code;
#endif
  /* Decodes encoded bodies; Accept-Encoding is written in prepared.c. */
  return curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
}

/* Whom to trust: a file or folder of the caller's stands alone. libcurl would add what it was built
** to look at, so that a private authority were no protection from the public ones. The proxy's
** settings are for proxies that are spoken to over TLS. */
static CURLcode set_trust(CURL *curl, const qhub_session_config *config) {
  if (config->ca_file == NULL && config->ca_path == NULL) return CURLE_OK;
  (void)curl_easy_setopt(curl, CURLOPT_PROXY_CAINFO, config->ca_file);
  (void)curl_easy_setopt(curl, CURLOPT_PROXY_CAPATH, config->ca_path);
  CURLcode code = curl_easy_setopt(curl, CURLOPT_CAINFO, config->ca_file);
  if (code != CURLE_OK) return code;
  code = curl_easy_setopt(curl, CURLOPT_CAPATH, config->ca_path);
  return config->ca_path != NULL ? code : CURLE_OK; /* not every TLS library has folders */
}

/* Whether the environment names a proxy of any kind. libcurl would look for each request. */
static bool environment_has_proxy(void) {
  static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                      "ALL_PROXY"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const char *value = getenv(names[i]);
    if (value != NULL && value[0] != '\0') return true;
  }
  return false;
}

static CURLcode set_proxy(CURL *curl, const char *proxy, bool direct) {
  CURLcode code = curl_easy_setopt(curl, CURLOPT_PROXY, direct ? "" : proxy);
  if (code == CURLE_OK && direct) code = curl_easy_setopt(curl, CURLOPT_NOPROXY, "");
  return code;
}

bool qhub_easy_model(qhub_session *session, const qhub_session_config *config) {
  const char *proxy = config->proxy;
  CURL *curl = session->model = curl_easy_init();
  if (curl == NULL) return false;
  session->is_direct = proxy != NULL ? proxy[0] == '\0' : !environment_has_proxy();
  CURLcode code = set_common(curl);
  if (code == CURLE_OK) code = set_proxy(curl, proxy, session->is_direct);
  if (code == CURLE_OK) code = set_trust(curl, config);
  if (code == CURLE_OK) code = curl_easy_setopt(curl, CURLOPT_SSLCERT, config->client_cert);
  if (code == CURLE_OK) code = curl_easy_setopt(curl, CURLOPT_SSLKEY, config->client_key);
  if (!config->verify) {
    (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  session->refusal = code;
  return true;
}

static qhub_easy *make_easy(qhub_session *session) {
  qhub_easy *easy = calloc(1, sizeof *easy);
  if (easy == NULL) return NULL;
  easy->session = session;
  easy->curl = curl_easy_duphandle(session->model);
  easy->url = curl_url();
  if (easy->curl == NULL || easy->url == NULL) {
    free_easy(easy);
    return NULL;
  }
  for (int i = 0; i < QHUB_SETTINGS; i++) easy->settings[i] = -1;
  qhub_callbacks_install(easy);
  return easy;
}

static bool is_posted(const char *method) {
  return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
}

/* Method and body. A POST with a body of our own is how libcurl sends any method with a body. */
static CURLcode set_method(qhub_easy *easy, const qhub_transfer *transfer) {
  static const char *const names[] = {"", "GET", "HEAD", "POST"};
  CURL *curl = easy->curl;
  CURLcode code = CURLE_OK;
  const qhub_upload *upload = &transfer->upload;
  const char *method = transfer->prepared->request.method;
  qhub_shape shape = strcmp(method, "HEAD") == 0 ? QHUB_SHAPE_HEAD : QHUB_SHAPE_GET;
  if (upload->bytes != NULL || is_posted(method)) {
    const char *bytes = upload->bytes != NULL ? upload->bytes : "";
    shape = QHUB_SHAPE_POST;
    (void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)upload->length);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, bytes);
  } else if (shape != easy->shape) {
    CURLoption option = shape == QHUB_SHAPE_HEAD ? CURLOPT_NOBODY : CURLOPT_HTTPGET;
    (void)curl_easy_setopt(curl, option, 1L);
  }
  bool custom = strcmp(method, names[shape]) != 0;
  if (custom || easy->custom_method) {
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

/* A stream reads about as much at a time as it may hold, since one read is never cut short. */
static long buffer_size(size_t stream) {
  if (stream <= PLAIN_BUFFER) return PLAIN_BUFFER;
  return stream < LARGEST_BUFFER ? (long)stream : LARGEST_BUFFER;
}

/* What of a URL the server gets as it is: what follows the origin. NULL: nothing, since a proxy may
** have to be given all of the URL, or libcurl has to mend or to refuse what follows. */
static const char *find_target(const qhub_session *session, const char *url) {
  const char *authority = strstr(url, "://");
  bool is_tunnelled = curl_strnequal(url, "https:", strlen("https:"));
  if (authority == NULL || !(session->is_direct || is_tunnelled)) return NULL;
  const char *target = authority + 3 + strcspn(authority + 3, "/?#");
  const char *end = target;
  while (*end > ' ' && *end < 0x7f && *end != '#') end++;
  return *target == '/' && *end == '\0' ? target : NULL;
}

/* The origin as text and taken apart, and the target. With text alone libcurl would take all of it
** apart for each request and write it anew, at a fifth of the cost of a small request
** (parseurlandfillconn in 7.88's url.c). Here is also where what is no http or https URL, or has
** a user in it, is refused. A handle for which this fails is not used again. */
static CURLcode set_url(qhub_easy *easy, const char *url) {
  const char *last = easy->url_text != NULL ? easy->url_text : "";
  if (strcmp(last, url) == 0) return CURLE_OK;
  const char *target = find_target(easy->session, url);
  size_t length = target != NULL ? (size_t)(target - url) : 0;
  bool same_origin = length > 0 && length == easy->origin_length && strncmp(last, url, length) == 0;
  free(easy->url_text);
  easy->url_text = strdup(url);
  if (easy->url_text == NULL) return CURLE_OUT_OF_MEMORY;
  easy->origin_length = length;
  CURLcode code = curl_easy_setopt(easy->curl, CURLOPT_REQUEST_TARGET, target);
  if (code != CURLE_OK || same_origin) return code;
  CURLUcode parsed =
    curl_url_set(easy->url, CURLUPART_URL, url, CURLU_PATH_AS_IS | CURLU_DISALLOW_USER);
  if (parsed == CURLUE_OUT_OF_MEMORY) return CURLE_OUT_OF_MEMORY;
  if (parsed != CURLUE_OK) return CURLE_URL_MALFORMAT;
  if (target != NULL) {
    (void)curl_url_set(easy->url, CURLUPART_PATH, NULL, 0);
    (void)curl_url_set(easy->url, CURLUPART_QUERY, NULL, 0);
  }
  code = curl_easy_setopt(easy->curl, CURLOPT_URL, url);
  if (code == CURLE_OK) code = curl_easy_setopt(easy->curl, CURLOPT_CURLU, easy->url);
  return code;
}

/* Makes the settings that differ from those of the request before. */
static CURLcode set_numbers(qhub_easy *easy, const setting *wanted) {
  for (int i = 0; i < QHUB_SETTINGS; i++) {
    if (easy->settings[i] == wanted[i].value) continue;
    CURLcode code = curl_easy_setopt(easy->curl, wanted[i].option, wanted[i].value);
    /* Refused while libcurl still has the buffer of the request before; that does as well. */
    if (code != CURLE_OK && wanted[i].option != CURLOPT_BUFFERSIZE) return code;
    if (code == CURLE_OK) easy->settings[i] = wanted[i].value;
  }
  return CURLE_OK;
}

/* To wait and see whether a connection that is being made can be shared is right where it may turn
** out as HTTP/2, which is known after its TLS handshake; without TLS libcurl would wait for the end
** of the first transfer.
** libcurl counts the age of an idle connection in whole seconds, rounded down; a start opens a new
** one rather than meet a server that is closing it. Where libcurl cannot report that it repeats a
** request, it must have no reason to. The progress callback costs time: it is for bodies that are
** sent, and for a libcurl that does not report what it sends. */
static CURLcode set_request(qhub_easy *easy, const qhub_session *session,
                            const qhub_transfer *transfer, bool shared) {
  const qhub_request *request = &transfer->prepared->request;
  bool idle = session->engine->now - session->last_move > ONCE_CONNECTION_AGE;
  bool lonely = !easy->counts_sends || idle;
  const setting wanted[QHUB_SETTINGS] = {
    [QHUB_FORBID_REUSE] = {CURLOPT_FORBID_REUSE, 0},
    {CURLOPT_HTTP_VERSION, shared ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1},
    {CURLOPT_PIPEWAIT, shared},
    {CURLOPT_CONNECTTIMEOUT_MS, milliseconds(request->connect_timeout)},
    {CURLOPT_BUFFERSIZE, buffer_size(request->stream)},
    {CURLOPT_MAXAGE_CONN, request->once ? ONCE_CONNECTION_AGE : IDLE_CONNECTION_AGE},
    {CURLOPT_FRESH_CONNECT, request->once && lonely},
    {CURLOPT_DNS_CACHE_TIMEOUT, session->unreachable ? 0 : DNS_AGE},
    {CURLOPT_NOPROGRESS, transfer->upload.length == 0 && easy->counts_sends},
  };
  struct curl_slist *lines = transfer->prepared->header_list;
  CURLcode code = set_url(easy, transfer->url);
  (void)curl_easy_setopt(easy->curl, CURLOPT_HTTPHEADER, lines);
  if (code == CURLE_OK) code = set_method(easy, transfer);
  if (code == CURLE_OK) code = set_numbers(easy, wanted);
  return code;
}

qhub_easy *qhub_easy_take(qhub_session *session, qhub_transfer *transfer, qhub_multi *multi) {
  bool shared = multi == &session->multis[QHUB_MULTI_SHARED];
  qhub_easy *easy = session->idle;
  CURLcode code = qhub_multi_open(multi) ? session->refusal : CURLE_OUT_OF_MEMORY;
  if (easy != NULL) {
    session->idle = easy->next;
    session->idle_count--;
  } else if (code == CURLE_OK) {
    easy = make_easy(session);
    if (easy == NULL) code = CURLE_OUT_OF_MEMORY;
  }
  if (code == CURLE_OK) code = set_request(easy, session, transfer, shared);
  if (code == CURLE_OK) {
    easy->error[0] = '\0';
    easy->multi = multi;
    easy->transfer = transfer;
    CURLMcode added = curl_multi_add_handle(multi->curl, easy->curl);
    if (added != CURLM_OK) code = CURLE_OUT_OF_MEMORY;
  }
  if (code == CURLE_OK) return easy;
  qhub_failure_set(transfer, code, QHUB_FAIL_NONE);
  if (easy != NULL) free_easy(easy);
  return NULL;
}

void qhub_easy_give(qhub_easy *easy, bool clean) {
  qhub_session *session = easy->session;
  qhub_held_signal held = qhub_hold_sigpipe(session->engine);
  (void)curl_multi_remove_handle(easy->multi->curl, easy->curl);
  qhub_signal_release(&held);
  easy->transfer = NULL;
  if (!clean || session->idle_count >= MOST_IDLE) {
    free_easy(easy);
    return;
  }
  if (easy->shape == QHUB_SHAPE_POST) {
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
  curl_easy_cleanup(session->model);
  session->model = NULL;
}
