/* URLs: see url.h. Section numbers are those of RFC 3986. */
#include "url.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum { LONGEST_HOST = 255, HIGHEST_PORT = 65535, LONGEST_IPV6 = 45 };

static const char TOO_LONG[] = "is too long";
static const char BAD_ESCAPE[] = "has a % that is not followed by two hexadecimal digits";

/* What may stand in a component beside unreserved characters and escapes (section 3). */
static const char IN_USERINFO[] = "!$&'()*+,;=:";
static const char IN_PATH[] = "!$&'()*+,;=:@/";
static const char IN_QUERY[] = "!$&'()*+,;=:@/?";

/* The ctype functions follow the host program's locale; these do not. */
static bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_one_of(char c, const char *set) {
  return c != '\0' && strchr(set, c) != NULL;
}

static bool is_unreserved(char c) {
  return is_alpha(c) || is_digit(c) || is_one_of(c, "-._~");
}

static bool is_control(char c) {
  return (unsigned char)c < 0x20 || c == 0x7f;
}

static qhub_span make_span(const char *from, const char *to) {
  return (qhub_span){from, (size_t)(to - from)};
}

/* First of `set` in [at, end), or `end`. */
static const char *find_one_of(const char *at, const char *end, const char *set) {
  while (at < end && !is_one_of(*at, set)) at++;
  return at;
}

/* Appendix B: never fails, and leaves the inside of the authority alone. */
static void split(const char *at, size_t length, qhub_url *url) {
  const char *end = at + length;
  memset(url, 0, sizeof *url);
  const char *colon = at;
  while (colon < end && (is_alpha(*colon) || is_digit(*colon) || is_one_of(*colon, "+-."))) colon++;
  if (colon > at && colon < end && *colon == ':' && is_alpha(*at)) {
    url->scheme = make_span(at, colon);
    at = colon + 1;
  }
  if (end - at >= 2 && at[0] == '/' && at[1] == '/') {
    const char *stop = find_one_of(at + 2, end, "/?#");
    url->authority = make_span(at + 2, stop);
    at = stop;
  }
  const char *stop = find_one_of(at, end, "?#");
  url->path = make_span(at, stop);
  at = stop;
  if (at < end && *at == '?') {
    stop = find_one_of(at, end, "#");
    url->query = make_span(at + 1, stop);
    at = stop;
  }
  if (at < end) url->fragment = make_span(at + 1, end);
}

/* What no URL and no reference may hold, and no repair is made for: a control character could
** split a header, and a backslash is a slash to some programs and none to others. */
static const char *check_bytes(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    if (is_control(text[i])) return "has a control character in it";
    if (text[i] == '\\') return "has a backslash in it";
    if (text[i] == '%' && !(length - i > 2 && is_hex(text[i + 1]) && is_hex(text[i + 2]))) {
      return BAD_ESCAPE;
    }
  }
  return NULL;
}

static const char *check_component(qhub_span span, const char *allowed) {
  for (size_t i = 0; i < span.length; i++) {
    char c = span.text[i];
    if (c == ' ') return "has a space in it";
    if ((unsigned char)c >= 0x80) return "has a character outside ASCII, to be percent-encoded";
    if (!is_unreserved(c) && c != '%' && !is_one_of(c, allowed)) {
      return "has a character that must be percent-encoded, such as < > { } [ ] | ^ or a quote";
    }
  }
  return NULL;
}

static const char *check_ipv6(qhub_span host) {
  static const char bad[] = "has a malformed IPv6 address as its host";
  char text[LONGEST_IPV6 + 1];
  struct in6_addr address;
  if (host.length < 2 || host.length - 2 > LONGEST_IPV6) return bad;
  memcpy(text, host.text + 1, host.length - 2);
  text[host.length - 2] = '\0';
  return inet_pton(AF_INET6, text, &address) == 1 ? NULL : bad;
}

/* Narrower than section 3.2.2: escapes and punctuation never name a host on the internet, but make
** two readers of one URL see two hosts. */
static const char *check_host(qhub_span host) {
  if (host.length == 0) return "has no host";
  if (host.length > LONGEST_HOST) return "has too long a host name";
  if (host.text[0] == '[') return check_ipv6(host);
  for (size_t i = 0; i < host.length; i++) {
    if (host.text[i] == ' ') return "has a space in it";
    if (!is_unreserved(host.text[i])) {
      return "has a character in its host that no host name has";
    }
  }
  return NULL;
}

/* `port` is what stands after the colon; empty means the default, like none (section 3.2.3). */
static const char *read_port(qhub_span port, unsigned *number) {
  static const char bad[] = "has a port that is no number from 1 to 65535";
  unsigned value = 0;
  for (size_t i = 0; i < port.length; i++) {
    if (!is_digit(port.text[i])) return bad;
    value = value * 10 + (unsigned)(port.text[i] - '0');
    if (value > HIGHEST_PORT) return bad;
  }
  if (port.length > 0 && value == 0) return bad;
  *number = value;
  return NULL;
}

static bool same_scheme(qhub_span scheme, const char *name) {
  if (scheme.length != strlen(name)) return false;
  for (size_t i = 0; i < scheme.length; i++) {
    if ((scheme.text[i] | 0x20) != name[i]) return false;
  }
  return true;
}

static unsigned default_port(qhub_span scheme) {
  if (same_scheme(scheme, "https")) return 443;
  if (same_scheme(scheme, "http")) return 80;
  return 0;
}

/* Fills userinfo, host and port from the authority. */
static const char *read_authority(qhub_url *url) {
  const char *at = url->authority.text;
  const char *end = at + url->authority.length;
  const char *sign = find_one_of(at, end, "@");
  if (sign < end) {
    url->userinfo = make_span(at, sign);
    at = sign + 1;
    if (find_one_of(at, end, "@") < end) return "has more than one @ before its path";
    const char *reason = check_component(url->userinfo, IN_USERINFO);
    if (reason != NULL) return reason;
  }
  const char *colon;
  if (at < end && *at == '[') {
    colon = find_one_of(at, end, "]");
    if (colon == end) return "has a [ without a ] in its host";
    colon++;
    if (colon < end && *colon != ':') return "has text between the ] of its host and the port";
  } else {
    colon = find_one_of(at, end, ":");
  }
  url->host = make_span(at, colon);
  const char *reason = check_host(url->host);
  if (reason == NULL && colon < end) reason = read_port(make_span(colon + 1, end), &url->port);
  if (url->port == 0) url->port = default_port(url->scheme);
  return reason;
}

const char *qhub_url_parse(const char *text, size_t length, qhub_url *url) {
  if (length == 0) return "is empty";
  if (length > QHUB_URL_LONGEST) return TOO_LONG;
  const char *reason = check_bytes(text, length);
  if (reason != NULL) return reason;
  split(text, length, url);
  if (url->scheme.text == NULL) return "has no scheme, such as https://";
  if (url->authority.text == NULL) return "has no // after its scheme";
  reason = read_authority(url);
  if (reason == NULL) reason = check_component(url->path, IN_PATH);
  if (reason == NULL) reason = check_component(url->query, IN_QUERY);
  if (reason == NULL) reason = check_component(url->fragment, IN_QUERY);
  return reason;
}

static char *put_escaped(char *at, char c) {
  static const char digits[] = "0123456789ABCDEF";
  *at++ = '%';
  *at++ = digits[(unsigned char)c >> 4];
  *at++ = digits[(unsigned char)c & 0x0f];
  return at;
}

size_t qhub_url_encode_segment(const char *text, size_t length, char *out) {
  char *at = out;
  for (size_t i = 0; i < length; i++) {
    if (is_unreserved(text[i])) {
      *at++ = text[i];
    } else {
      at = put_escaped(at, text[i]);
    }
  }
  return (size_t)(at - out);
}

static char *put_span(char *at, qhub_span span) {
  if (span.length > 0) memcpy(at, span.text, span.length);
  return at + span.length;
}

/* Copies a component and encodes what should have been encoded; escapes stay as they are. */
static char *put_repaired(char *at, qhub_span span, const char *allowed) {
  for (size_t i = 0; i < span.length; i++) {
    char c = span.text[i];
    if (is_unreserved(c) || c == '%' || is_one_of(c, allowed)) {
      *at++ = c;
    } else {
      at = put_escaped(at, c);
    }
  }
  return at;
}

static bool starts(qhub_span rest, const char *with) {
  size_t length = strlen(with);
  return rest.length >= length && memcmp(rest.text, with, length) == 0;
}

static bool equals(qhub_span rest, const char *text) {
  return rest.length == strlen(text) && starts(rest, text);
}

/* The last segment and the slash before it go. */
static size_t drop_segment(const char *path, size_t length) {
  while (length > 0) {
    length--;
    if (path[length] == '/') break;
  }
  return length;
}

/* Section 5.2.4, in place: what is written never passes what is read. Returns the new length. */
static size_t remove_dot_segments(char *path, size_t length) {
  size_t in = 0;
  size_t out = 0;
  while (in < length) {
    qhub_span rest = {path + in, length - in};
    if (starts(rest, "../")) {
      in += 3;
    } else if (starts(rest, "./") || starts(rest, "/./")) {
      in += 2;
    } else if (equals(rest, "/.")) {
      path[++in] = '/';
    } else if (starts(rest, "/../")) {
      in += 3;
      out = drop_segment(path, out);
    } else if (equals(rest, "/..")) {
      in += 2;
      path[in] = '/';
      out = drop_segment(path, out);
    } else if (equals(rest, ".") || equals(rest, "..")) {
      in = length;
    } else {
      do path[out++] = path[in++];
      while (in < length && path[in] != '/');
    }
  }
  return out;
}

static const char *read_reference(const char *text, size_t length, qhub_url *url) {
  if (length > QHUB_URL_LONGEST) return TOO_LONG;
  const char *reason = check_bytes(text, length);
  if (reason != NULL) return reason;
  split(text, length, url);
  return url->authority.text != NULL ? read_authority(url) : NULL;
}

size_t qhub_url_resolve_bound(size_t base_length, size_t reference_length) {
  return base_length + 3 * reference_length + sizeof ":///?#";
}

/* Section 5.2.3: the base's path up to its last slash goes before the reference. A base with an
** authority and no path counts as "/". */
static char *put_merged_path(char *at, qhub_span base, qhub_span reference) {
  size_t kept = base.length;
  while (kept > 0 && base.text[kept - 1] != '/') kept--;
  if (kept == 0) *at++ = '/';
  at = put_span(at, (qhub_span){base.text, kept});
  return put_repaired(at, reference, IN_PATH);
}

const char *qhub_url_resolve(const char *base_text, size_t base_length, const char *reference_text,
                             size_t reference_length, char *out, size_t *out_length) {
  qhub_url base;
  qhub_url reference;
  const char *reason = qhub_url_parse(base_text, base_length, &base);
  if (reason == NULL) reason = read_reference(reference_text, reference_length, &reference);
  if (reason != NULL) return reason;

  bool own_scheme = reference.scheme.text != NULL;
  bool own_authority = own_scheme || reference.authority.text != NULL;
  char *at = put_span(out, own_scheme ? reference.scheme : base.scheme);
  *at++ = ':';
  qhub_span authority = own_authority ? reference.authority : base.authority;
  if (authority.text != NULL) {
    *at++ = '/';
    *at++ = '/';
    at = put_span(at, authority);
  }

  char *path = at;
  qhub_span query = reference.query;
  if (!own_authority && reference.path.length == 0) {
    at = put_span(at, base.path);
    if (query.text == NULL) query = base.query;
  } else {
    bool rooted = reference.path.length > 0 && reference.path.text[0] == '/';
    if (own_authority || rooted) {
      at = put_repaired(at, reference.path, IN_PATH);
    } else {
      at = put_merged_path(at, base.path, reference.path);
    }
    at = path + remove_dot_segments(path, (size_t)(at - path));
  }
  /* Written out, such a path would be read as an authority (section 3.3). */
  if (authority.text == NULL && at - path >= 2 && path[0] == '/' && path[1] == '/') {
    return "has a path that starts with // but no host";
  }
  if (query.text != NULL) {
    *at++ = '?';
    at = put_repaired(at, query, IN_QUERY);
  }
  if (reference.fragment.text != NULL) {
    *at++ = '#';
    at = put_repaired(at, reference.fragment, IN_QUERY);
  }
  *out_length = (size_t)(at - out);
  return NULL;
}
