/*
** `core.text`: URLs, dates and what messages show, as pure functions.
**
** Reads strings and returns strings, numbers and tables; keeps nothing. The rules are in
** src/; which URL a client may use is decided in Lua.
*/
#include "module.h"

#include "../text/characters.h"
#include "../text/url.h"

#include <curl/curl.h>
#include <lauxlib.h>
#include <string.h>
#include <time.h>

/* nil and `reason`  [+2] */
static int push_failure(lua_State *L, const char *reason) {
  luaL_pushfail(L);
  lua_pushstring(L, reason);
  return 2;
}

/* encode_segment(text) -> text with all but unreserved characters percent-encoded  [+1] */
static int encode_segment(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  luaL_argcheck(L, length <= (size_t)-1 / 3, 1, "too long");
  luaL_Buffer out;
  char *room = luaL_buffinitsize(L, &out, 3 * length);
  luaL_pushresultsize(&out, qhub_url_encode_segment(text, length, room));
  return 1;
}

/* parse_url(text) -> scheme, host, port; or nil, reason. Scheme and host in lower case; an IPv6
** host keeps its brackets; port is nil only where neither the URL nor libcurl has one for the
** scheme. The reason quotes nothing of the text.  [+2 or +3] */
static int parse_url(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  qhub_url url;
  const char *reason = qhub_url_parse(text, length, &url);
  if (reason != NULL) return push_failure(L, reason);
  lua_pushstring(L, url.scheme);
  lua_pushstring(L, url.host);
  if (url.port != 0) {
    lua_pushinteger(L, (lua_Integer)url.port);
  } else {
    lua_pushnil(L);
  }
  return 3;
}

/* resolve_url(base, reference) -> absolute URL, or nil, reason.  [+1 or +2] */
static int resolve_url(lua_State *L) {
  size_t base_length;
  size_t reference_length;
  size_t length;
  const char *base = luaL_checklstring(L, 1, &base_length);
  const char *reference = luaL_checklstring(L, 2, &reference_length);
  if (base_length > QHUB_URL_LONGEST || reference_length > QHUB_URL_LONGEST) {
    return push_failure(L, "is too long");
  }
  luaL_Buffer out;
  char *room = luaL_buffinitsize(L, &out, qhub_url_resolve_bound(base_length, reference_length));
  const char *reason =
    qhub_url_resolve(base, base_length, reference, reference_length, room, &length);
  if (reason != NULL) return push_failure(L, reason);
  luaL_pushresultsize(&out, length);
  return 1;
}

/* parse_http_date(text) -> seconds since the epoch, or nil. A date starts with a weekday (RFC 9110
** section 5.6.7), at least with a letter; else libcurl would read one in a bare number.  [+1] */
static int parse_http_date(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  bool is_dated = qhub_is_alpha(text[0]) && strlen(text) == length;
  time_t seconds = is_dated ? curl_getdate(text, NULL) : (time_t)-1;
  if (seconds != (time_t)-1) {
    lua_pushinteger(L, (lua_Integer)seconds);
  } else {
    luaL_pushfail(L);
  }
  return 1;
}

/* has_control(text) -> whether a byte below 0x20, or DEL, is in it  [+1] */
static int has_control(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  size_t at = 0;
  while (at < length && !qhub_is_control(text[at])) at++;
  lua_pushboolean(L, at < length);
  return 1;
}

/* printable(text) -> text as printable ASCII of at most QHUB_PRINTABLE_SIZE - 1 bytes  [+1] */
static int get_printable(lua_State *L) {
  size_t length;
  char shown[QHUB_PRINTABLE_SIZE];
  const char *text = luaL_checklstring(L, 1, &length);
  qhub_printable(text, length, shown);
  lua_pushstring(L, shown);
  return 1;
}

static const luaL_Reg functions[] = {
  {"encode_segment", encode_segment},
  {"parse_url", parse_url},
  {"resolve_url", resolve_url},
  {"parse_http_date", parse_http_date},
  {"has_control", has_control},
  {"printable", get_printable},
  {NULL, NULL},
};

int qhub_open_text(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
