/*
** URLs: taking one apart, resolving a reference against one, percent-encoding a path segment.
**
** Strict where a person wrote the URL (`qhub_url_parse`: RFC 3986 with an authority, each fault
** told as a reason), liberal where a server did (`qhub_url_resolve` percent-encodes what servers
** forget to encode). Which schemes, user infos or origins are welcome is not decided here. Nothing
** is copied or allocated: spans point into the caller's text. Knows neither Lua nor curl.
*/
#ifndef QHUB_URL_H
#define QHUB_URL_H

#include <stdbool.h>
#include <stddef.h>

enum { QHUB_URL_LONGEST = 1024 * 1024 }; /* bytes; a longer text is refused unread */

typedef struct {
  const char *text;   /* NULL when the component is absent; not NUL-terminated */
  size_t length;
} qhub_span;

typedef struct {
  qhub_span scheme;
  qhub_span authority;
  qhub_span userinfo;
  qhub_span host;     /* with the brackets of an IPv6 address; in the case it was written in */
  unsigned port;      /* 0: none written and none known for the scheme */
  qhub_span path;     /* never absent, perhaps empty */
  qhub_span query;    /* without the `?` */
  qhub_span fragment; /* without the `#` */
} qhub_url;

/* Takes `scheme://authority...` apart. Returns NULL, or a static reason that reads on after "the
** URL" ("has a space in it"); `*url` is then unspecified. */
const char *qhub_url_parse(const char *text, size_t length, qhub_url *url);

/* The most bytes that `qhub_url_resolve` writes. Both lengths at most QHUB_URL_LONGEST. */
size_t qhub_url_resolve_bound(size_t base_length, size_t reference_length);

/* RFC 3986 section 5.2 (strict): writes the absolute URL that `reference` means on a page at `base`
** to `out` and its length to `*out_length`. Returns NULL or a static reason. The result may have
** any scheme: whoever follows it parses it first. */
const char *qhub_url_resolve(const char *base, size_t base_length, const char *reference,
                             size_t reference_length, char *out, size_t *out_length);

/* Percent-encodes all but RFC 3986's unreserved characters; `out` has room for 3 * length bytes.
** Returns the length written. */
size_t qhub_url_encode_segment(const char *text, size_t length, char *out);

#endif
