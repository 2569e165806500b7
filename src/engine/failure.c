/*
** What went wrong, in one readable line: failure kinds, phases and messages. See internal.h.
**
** Messages name the host, never path, query or header values. Text that may come from the other
** side is stripped of control characters.
*/
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void __attribute__((format(printf, 2, 3)))
say(qhub_failure *failure, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(failure->message, sizeof failure->message, format, arguments);
  va_end(arguments);
  for (char *at = failure->message; *at != '\0'; at++) {
    if ((unsigned char)*at < ' ' || *at == 0x7f) *at = '?';
  }
}

enum { HOST_SIZE = 129 };

/* "host:port" as the URL has it, cut if it is absurdly long. */
static void copy_host(char *host, const qhub_transfer *transfer) {
  const char *start = strstr(transfer->url, "://");
  start = start != NULL ? start + 3 : transfer->url;
  size_t length = strcspn(start, "/?#");
  if (length >= HOST_SIZE) length = HOST_SIZE - 1;
  memcpy(host, start, length);
  host[length] = '\0';
}

/* The system's word for a failed connect ("Connection refused"), else libcurl's. */
static const char *reason_of(const qhub_transfer *transfer, CURLcode code, char *space,
                             size_t size) {
  const qhub_easy *easy = transfer->easy;
  long number = 0;
  if (easy == NULL) return curl_easy_strerror(code);
  if (code == CURLE_COULDNT_CONNECT) {
    (void)curl_easy_getinfo(easy->curl, CURLINFO_OS_ERRNO, &number);
  }
  if (number != 0 && strerror_r((int)number, space, size) == 0) return space;
  return easy->error[0] != '\0' ? easy->error : curl_easy_strerror(code);
}

/* Whether something of the head came, but not all of it. libcurl hands over whole lines. */
static bool has_begun(const qhub_transfer *transfer) {
  curl_off_t since = 0;
  if (transfer->headers.complete || transfer->easy == NULL) return false;
  (void)curl_easy_getinfo(transfer->easy->curl, CURLINFO_STARTTRANSFER_TIME_T, &since);
  return since > 0;
}

static void explain_timeout(qhub_transfer *transfer, const char *host) {
  const qhub_request *request = &transfer->prepared->request;
  qhub_failure *failure = &transfer->failure;
  if (transfer->state == QHUB_TRANSFER_QUEUED) {
    say(failure, "no connection to %s became free within %g s (max_connections is %ld)", host,
        request->timeout, transfer->session->max_connections);
  } else if (!transfer->sent) {
    say(failure, "no connection to %s within %g s", host, request->connect_timeout);
  } else if (has_begun(transfer)) {
    say(failure, "the head of the response of %s came too slowly: no line of it for %g s", host,
        request->timeout);
  } else {
    say(failure, "nothing from %s for %g s", host, request->timeout);
  }
}

/* Whether a kept connection died before the response. A single stream of HTTP/2 that the other side
** gave up is something else. */
static bool was_stale(const qhub_transfer *transfer, CURLcode code) {
  return transfer->sent && !transfer->opened && !transfer->answered && code != CURLE_HTTP2_STREAM;
}

/* What is known better than by libcurl's codes, and all other codes. */
enum { STALE = -4, HEAD_CUT, NO_DESCRIPTOR, OTHER };

/* What stands before and after the host, and whether the reason follows. */
static const struct {
  int code;
  bool has_reason;
  const char *before;
  const char *after;
} sentences[] = {
  {STALE, false, "the kept connection to ", " was closed before a response came"},
  {HEAD_CUT, false, "the head of the response of ", " is too large"},
  {NO_DESCRIPTOR, false, "cannot connect to ",
   ": too many open files: raise ulimit -n or lower max_connections"},
  {CURLE_COULDNT_RESOLVE_HOST, false, "cannot find the host of ", ""},
  {CURLE_COULDNT_CONNECT, true, "cannot connect to ", ""},
  {CURLE_GOT_NOTHING, false, "", " closed the connection without a response"},
  {CURLE_PARTIAL_FILE, true, "the response of ", " broke off"},
  {CURLE_SEND_ERROR, true, "the connection to ", " broke"},
  {CURLE_RECV_ERROR, true, "the connection to ", " broke"},
  /* libcurl 7.88 sees nothing wrong with half a header block */
  {CURLE_OK, false, "", " closed the connection within the head of its response"},
  {CURLE_WRITE_ERROR, false, "the response of ", " is not valid HTTP"},
  {OTHER, true, "", ""},
};

static void explain_network(qhub_transfer *transfer, CURLcode code, const char *host) {
  char space[128];
  const char *reason = "";
  int wanted = (int)code;
  size_t i = 0;
  if (transfer->no_descriptor) wanted = NO_DESCRIPTOR;
  if (transfer->head_cut) wanted = HEAD_CUT;
  if (transfer->failure.stale) wanted = STALE;
  while (sentences[i].code != wanted && sentences[i].code != OTHER) i++;
  if (sentences[i].has_reason) reason = reason_of(transfer, code, space, sizeof space);
  say(&transfer->failure, "%s%s%s%s%s", sentences[i].before, host, sentences[i].after,
      reason[0] != '\0' ? ": " : "", reason);
}

/* Why libcurl ended it; what a callback stopped it for goes first. */
static qhub_failure_kind kind_of(const qhub_transfer *transfer, CURLcode code) {
  if (transfer->stopped_for != QHUB_FAIL_NONE) return transfer->stopped_for;
  if (transfer->head_cut) return QHUB_FAIL_NETWORK;
#if LIBCURL_VERSION_NUM >= 0x080600
  if (code == CURLE_TOO_LARGE) return QHUB_FAIL_TOO_LARGE;
#endif
  if (code == CURLE_OUT_OF_MEMORY) return QHUB_FAIL_MEMORY;
  /* The only callback of ours that aborts refuses to send twice; but this is also how libcurl
  ** reports that it had no memory for a descriptor. */
  if (code == CURLE_ABORTED_BY_CALLBACK && !transfer->refused) return QHUB_FAIL_MEMORY;
  if (code == CURLE_OPERATION_TIMEDOUT) return QHUB_FAIL_TIMEOUT;
  return QHUB_FAIL_NETWORK;
}

/* Whether a byte of the request may have left. libcurl counts what the connection accepted, under
** TLS too, and no byte leaves uncounted. HTTP/2 is the exception: a request without a body is whole
** with its first frame, which may have left before the same call failed at another frame, and is
** then not counted. A CONNECT to a proxy is counted too, but comes before `sends`. */
static bool may_have_left(const qhub_transfer *transfer) {
  const qhub_easy *easy = transfer->easy;
  long sent_bytes = 0;
  if (easy == NULL || !transfer->sent) return false;
  (void)curl_easy_getinfo(easy->curl, CURLINFO_REQUEST_SIZE, &sent_bytes);
  bool whole_at_once = transfer->upload.length == 0 &&
                       easy->multi == &easy->session->multis[QHUB_MULTI_SHARED]; /* HTTP/2, maybe */
  return sent_bytes > 0 || whole_at_once;
}

void qhub_failure_set(qhub_transfer *transfer, CURLcode code, qhub_failure_kind kind) {
  qhub_failure *failure = &transfer->failure;
  char host[HOST_SIZE];
  copy_host(host, transfer);
  failure->kind = kind != QHUB_FAIL_NONE ? kind : kind_of(transfer, code);
  failure->code = (int)code;
  failure->sent = may_have_left(transfer);
  failure->phase = transfer->sent ? "read" : "connect";
  if (transfer->easy != NULL && !transfer->sent) {
    transfer->easy->session->unreachable = true; /* its address may be old */
  }
  failure->stale = failure->kind == QHUB_FAIL_NETWORK && was_stale(transfer, code);
  switch (failure->kind) {
    case QHUB_FAIL_TIMEOUT: explain_timeout(transfer, host); break;
    case QHUB_FAIL_NETWORK: explain_network(transfer, code, host); break;
    case QHUB_FAIL_TOO_LARGE: say(failure, "the response of %s is too large", host); break;
    case QHUB_FAIL_CANCELLED: say(failure, "cancelled"); break;
    default: say(failure, "not enough memory");
  }
}
