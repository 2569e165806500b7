/*
** URLs: our rules on top of libcurl's parser, and percent-encoding of a path segment.
**
** libcurl takes a URL apart and resolves a reference: what is checked here is what a transfer
** connects to. The rules refuse texts that two readers could read differently, each with a reason
** that reads on after "the URL". Which schemes, user infos or origins are accepted is decided in
** Lua. Texts end in a NUL after their `length` bytes. Keeps nothing; knows no Lua.
*/
#ifndef QHUB_URL_H
#define QHUB_URL_H

#include <stddef.h>

enum {
  QHUB_URL_LONGEST = 1024 * 1024, /* bytes; a longer text is refused unread */
  QHUB_URL_LONGEST_SCHEME = 40,
  QHUB_URL_LONGEST_HOST = 255,
};

typedef struct {
  char scheme[QHUB_URL_LONGEST_SCHEME + 1]; /* lower case */
  char host[QHUB_URL_LONGEST_HOST + 1];     /* lower case, an IPv6 address in brackets */
  unsigned port; /* 0: none written, and libcurl knows none for the scheme */
} qhub_url;

/* Reads `scheme://authority...`. Returns NULL, or a static reason ("has a space in it");
** `*url` is then unspecified. */
const char *qhub_url_parse(const char *text, size_t length, qhub_url *url);

/* The size of the memory that `qhub_url_resolve` writes to. */
size_t qhub_url_resolve_bound(size_t base_length, size_t reference_length);

/* Writes the absolute URL that `reference` means on a page at `base`, and a NUL, to `out`, and its
** length to `*out_length`. What servers forget to percent-encode is encoded; a fragment is dropped,
** for it is never sent. Returns NULL or a static reason. The result can be parsed. */
const char *qhub_url_resolve(const char *base, size_t base_length, const char *reference,
                             size_t reference_length, char *out, size_t *out_length);

/* Percent-encodes all but RFC 3986's unreserved characters; `out` has room for 3 * length bytes.
** Returns the length written. */
size_t qhub_url_encode_segment(const char *text, size_t length, char *out);

#endif
