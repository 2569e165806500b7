/* URLs: see url.h. Section numbers are those of RFC 3986. */
#include "url.h"

#include "characters.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Unknown schemes are read, too: which ones are accepted is not decided here. */
enum { FLAGS = CURLU_NON_SUPPORT_SCHEME };

static bool is_one_of(char c, const char *set) {
  return c != '\0' && strchr(set, c) != NULL;
}

static bool is_alphanumeric(char c) {
  return qhub_is_alpha(c) || qhub_is_digit(c);
}

static bool is_unreserved(char c) {
  return is_alphanumeric(c) || is_one_of(c, "-._~");
}

/* What may stand in a URL: reserved characters (section 2.2, but [ and ], which only a host has),
** unreserved ones and escapes. */
static bool is_allowed(char c) {
  return is_unreserved(c) || is_one_of(c, "%!$&'()*+,;=:@/?#");
}

static bool is_escape(const char *text, size_t length) {
  return length > 2 && qhub_hex_digit(text[1]) >= 0 && qhub_hex_digit(text[2]) >= 0;
}

/* What no URL and no reference may hold, and no repair is made for: a control character could
** split a header, and some programs take a backslash for a slash. */
static const char *check_bytes(const char *text, size_t length) {
  if (length > QHUB_URL_LONGEST) return "is too long";
  for (size_t i = 0; i < length; i++) {
    if (qhub_is_control(text[i])) return "has a control character in it";
    if (text[i] == '\\') return "has a backslash in it";
    if (text[i] == '%' && !is_escape(text + i, length - i)) {
      return "has a % that is not followed by two hexadecimal digits";
    }
  }
  return NULL;
}

static const char *check_component(const char *at, size_t length) {
  for (const char *end = at + length; at < end; at++) {
    if (!is_allowed(*at)) {
      return "has a character that must be percent-encoded, such as a space, < > { } [ ] | ^, a "
             "quote or one outside ASCII";
    }
  }
  return NULL;
}

/* Narrower than section 3.2.2: escapes and punctuation never name a host on the internet, but make
** two readers of one URL see two hosts. */
static const char *check_host(const char *at, size_t length) {
  if (length == 0) return "has no host";
  if (length > QHUB_URL_LONGEST_HOST) return "has too long a host name";
  bool is_address = at[0] == '[';
  for (size_t i = 0; i < length; i++) {
    if (!is_unreserved(at[i]) && !(is_address && is_one_of(at[i], "[:]"))) {
      return is_address ? "has a malformed IPv6 address in the [ ] of its host"
                        : "has a character in its host that no host name has";
    }
  }
  return NULL;
}

/* Length of the scheme at the start of the text when "://" follows it, else 0. */
static size_t scheme_length(const char *text) {
  size_t length = 0;
  if (!qhub_is_alpha(text[0])) return 0;
  while (is_alphanumeric(text[length]) || is_one_of(text[length], "+-.")) length++;
  return strncmp(text + length, "://", 3) == 0 ? length : 0;
}

/* Applies the rules, between the characters at which every reader splits (appendix B). */
static const char *check_text(const char *text) {
  size_t scheme = scheme_length(text);
  if (scheme == 0) {
    size_t name = strcspn(text, ":/?#");
    bool has_scheme = qhub_is_alpha(text[0]) && text[name] == ':' && !qhub_is_digit(text[name + 1]);
    return has_scheme ? "has no // after its scheme" : "has no scheme, such as https://";
  }
  const char *at = text + scheme + 3;
  const char *end = at + strcspn(at, "/?#");
  const char *sign = memchr(at, '@', (size_t)(end - at));
  if (sign != NULL) {
    const char *reason = check_component(at, (size_t)(sign - at));
    if (reason != NULL) return reason;
    at = sign + 1;
    if (memchr(at, '@', (size_t)(end - at)) != NULL) return "has more than one @ before its path";
  }
  const char *bracket = *at == '[' ? memchr(at, ']', (size_t)(end - at)) : NULL;
  const char *host_end = bracket != NULL ? bracket + 1 : at + strcspn(at, ":/?#");
  const char *reason = check_host(at, (size_t)(host_end - at));
  if (reason != NULL) return reason;
  const char *fragment = strchr(end, '#');
  if (fragment != NULL && strchr(fragment + 1, '#') != NULL) {
    return "has a second #, which must be percent-encoded";
  }
  return check_component(end, strlen(end));
}

static const char *reason_of(CURLUcode code) {
  switch (code) {
    case CURLUE_OK: return NULL;
    case CURLUE_BAD_PORT_NUMBER: return "has a port that is not a number from 1 to 65535";
    case CURLUE_NO_HOST: return "has no host";
    case CURLUE_NO_SCHEME: return "has no scheme, such as https://";
    case CURLUE_OUT_OF_MEMORY: return "cannot be read: not enough memory";
    default: return "has a malformed host, such as an IPv6 address, or a malformed port";
  }
}

/* Copies a part of the URL in lower case to `out`. */
static CURLUcode copy_part(CURLU *handle, CURLUPart part, char *out, size_t size) {
  char *text;
  CURLUcode code = curl_url_get(handle, part, &text, 0);
  if (code != CURLUE_OK) return code;
  size_t length = strlen(text);
  if (length >= size) code = CURLUE_MALFORMED_INPUT;
  for (size_t i = 0; code == CURLUE_OK && i <= length; i++) out[i] = qhub_lower(text[i]);
  curl_free(text);
  return code;
}

/* A port is absent where none is written and libcurl knows none for the scheme. */
static CURLUcode read_port(CURLU *handle, unsigned *port) {
  char *text;
  *port = 0;
  CURLUcode code = curl_url_get(handle, CURLUPART_PORT, &text, CURLU_DEFAULT_PORT);
  if (code == CURLUE_NO_PORT) return CURLUE_OK;
  if (code != CURLUE_OK) return code;
  unsigned long value = strtoul(text, NULL, 10);
  curl_free(text);
  if (value == 0) return CURLUE_BAD_PORT_NUMBER;
  *port = (unsigned)value;
  return CURLUE_OK;
}

const char *qhub_url_parse(const char *text, size_t length, qhub_url *url) {
  if (length == 0) return "is empty";
  const char *reason = check_bytes(text, length);
  if (reason == NULL) reason = check_text(text);
  if (reason != NULL) return reason;
  CURLU *handle = curl_url();
  if (handle == NULL) return reason_of(CURLUE_OUT_OF_MEMORY);
  CURLUcode code = curl_url_set(handle, CURLUPART_URL, text, FLAGS);
  if (code == CURLUE_OK) {
    code = copy_part(handle, CURLUPART_SCHEME, url->scheme, sizeof url->scheme);
  }
  if (code == CURLUE_OK) code = copy_part(handle, CURLUPART_HOST, url->host, sizeof url->host);
  if (code == CURLUE_OK) code = read_port(handle, &url->port);
  curl_url_cleanup(handle);
  return reason_of(code);
}

/* Writes a character as it is or as its escape. */
static char *put(char *at, char c, bool as_it_is) {
  static const char digits[] = "0123456789ABCDEF";
  if (as_it_is) {
    *at++ = c;
    return at;
  }
  *at++ = '%';
  *at++ = digits[(unsigned char)c >> 4];
  *at++ = digits[(unsigned char)c & 0x0f];
  return at;
}

size_t qhub_url_encode_segment(const char *text, size_t length, char *out) {
  char *at = out;
  for (size_t i = 0; i < length; i++) {
    at = put(at, text[i], is_unreserved(text[i]));
  }
  return (size_t)(at - out);
}

/* Where the path of a reference starts. */
static size_t authority_end(const char *reference) {
  size_t scheme = scheme_length(reference);
  if (scheme > 0) scheme++;
  if (strncmp(reference + scheme, "//", 2) != 0) return 0;
  return scheme + 2 + strcspn(reference + scheme + 2, "/?#");
}

/* Copies a reference without its fragment and with escapes where they are missing. */
static void repair(const char *reference, char *out) {
  size_t length = strcspn(reference, "#");
  size_t start = authority_end(reference);
  memcpy(out, reference, start);
  char *at = out + start;
  for (size_t i = start; i < length; i++) {
    at = put(at, reference[i], is_allowed(reference[i]));
  }
  *at = '\0';
}

/* The rest is for what libcurl adds: a slash, an address written out. */
size_t qhub_url_resolve_bound(size_t base_length, size_t reference_length) {
  return base_length + 3 * reference_length + 64;
}

/* `out` holds the repaired reference, and the URL afterwards. */
static CURLUcode resolve(const char *base, char *out, size_t size) {
  char *text;
  CURLU *handle = curl_url();
  if (handle == NULL) return CURLUE_OUT_OF_MEMORY;
  CURLUcode code = curl_url_set(handle, CURLUPART_URL, base, FLAGS);
  if (code == CURLUE_OK) code = curl_url_set(handle, CURLUPART_FRAGMENT, NULL, 0);
  if (code == CURLUE_OK && out[0] != '\0') code = curl_url_set(handle, CURLUPART_URL, out, FLAGS);
  if (code == CURLUE_OK) code = curl_url_get(handle, CURLUPART_URL, &text, 0);
  curl_url_cleanup(handle);
  if (code != CURLUE_OK) return code;
  size_t length = strlen(text);
  if (length < size) memcpy(out, text, length + 1);
  curl_free(text);
  return length < size ? CURLUE_OK : CURLUE_MALFORMED_INPUT;
}

const char *qhub_url_resolve(const char *base, size_t base_length, const char *reference,
                             size_t reference_length, char *out, size_t *out_length) {
  qhub_url url;
  const char *reason = qhub_url_parse(base, base_length, &url);
  if (reason == NULL) reason = check_bytes(reference, reference_length);
  if (reason != NULL) return reason;
  size_t start = authority_end(reference);
  /* libcurl would accept one slash, and three. */
  if (start > 0 && reference[start - 1] == '/') return "has no host";
  if (start == 0 && qhub_is_alpha(reference[0]) && reference[strcspn(reference, ":/?#")] == ':') {
    return "has no // after its scheme";
  }
  repair(reference, out);
  size_t size = qhub_url_resolve_bound(base_length, reference_length);
  reason = reason_of(resolve(base, out, size));
  if (reason != NULL) return reason;
  *out_length = strlen(out);
  return qhub_url_parse(out, *out_length, &url);
}
