/*
** core.engine: the transfer userdata. See core/engine.h for what a transfer is. Its user values
** keep the session alive, and the body, which libcurl reads where Lua has it.
*/
#include <stdint.h>
#include <string.h>

#include "engine_bind.h"

/* The longest that anything is waited for: beyond it timers need no precision. */
static const double FOREVER = 1e9;

/* ---- starting one ---- */

/* Pushes a field of the request at argument 2: a string, or NULL when it is nil or false.
** [-0, +1] */
static const char *string_field(lua_State *L, const char *name, size_t *length) {
  int type = lua_getfield(L, 2, name);
  *length = 0;
  if (!lua_toboolean(L, -1)) return NULL;
  if (type != LUA_TSTRING) {
    luaL_error(L, "field '%s': string expected, got %s", name, luaL_typename(L, -1));
  }
  return lua_tolstring(L, -1, length);
}

/* A string that must be there and have no NUL byte.  [-0, +1] */
static const char *name_field(lua_State *L, const char *name) {
  size_t length;
  const char *text = string_field(L, name, &length);
  if (text == NULL || length == 0 || strlen(text) != length) {
    luaL_error(L, "field '%s': text expected", name);
  }
  return text;
}

/* [-0, +0] */
static double seconds_field(lua_State *L, const char *name) {
  int is_number;
  lua_getfield(L, 2, name);
  lua_Number seconds = lua_tonumberx(L, -1, &is_number);
  if (!is_number || !(seconds >= 0)) luaL_error(L, "field '%s': seconds expected", name);
  lua_pop(L, 1);
  return seconds < FOREVER ? seconds : FOREVER;
}

/* A number of bytes, or `otherwise` when the field is nil or false.  [-0, +0] */
static size_t bytes_field(lua_State *L, const char *name, size_t otherwise) {
  lua_getfield(L, 2, name);
  if (lua_toboolean(L, -1)) {
    int is_integer;
    lua_Integer bytes = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || bytes < 0) luaL_error(L, "field '%s': number of bytes expected", name);
    otherwise = (lua_Unsigned)bytes < SIZE_MAX ? (size_t)bytes : SIZE_MAX;
  }
  lua_pop(L, 1);
  return otherwise;
}

/* [-0, +0] */
static bool flag_field(lua_State *L, const char *name) {
  lua_getfield(L, 2, name);
  bool flag = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return flag;
}

typedef struct {
  size_t count;
  size_t bytes;
} header_size;

/* Checks the array of header lines on top of the stack and adds up their lengths.  [-0, +0] */
static header_size measure_headers(lua_State *L) {
  header_size size = {0, 0};
  if (!lua_istable(L, -1)) luaL_error(L, "field 'header_lines': table expected");
  size.count = lua_rawlen(L, -1);
  for (size_t i = 1; i <= size.count; i++) {
    /* A number would be turned into a string of its own that nothing keeps. */
    if (lua_rawgeti(L, -1, (lua_Integer)i) != LUA_TSTRING) {
      luaL_error(L, "field 'header_lines': strings expected");
    }
    size.bytes += lua_rawlen(L, -1);
    lua_pop(L, 1);
  }
  return size;
}

/* Copies the lines that `measure_headers` saw; nothing here can fail.  [-0, +0] */
static void add_headers(lua_State *L, int index, qhub_transfer *transfer, size_t count) {
  for (size_t i = 1; i <= count; i++) {
    size_t length;
    lua_rawgeti(L, index, (lua_Integer)i);
    const char *line = lua_tolstring(L, -1, &length);
    qhub_transfer_add_header(transfer, line, length);
    lua_pop(L, 1);
  }
}

/* Lets news find the userdata at `index`.  [-0, +0] */
static void announce(lua_State *L, int index, const qhub_transfer *transfer) {
  lua_getiuservalue(L, 1, QHUB_SESSION_ENGINE);
  lua_getiuservalue(L, -1, QHUB_ENGINE_TRANSFERS);
  lua_pushvalue(L, index);
  lua_rawsetp(L, -2, transfer);
  lua_pop(L, 2);
}

int qhub_bind_start(lua_State *L) {
  enum { METHOD = 3, URL, BODY, HEADERS, TRANSFER }; /* stack */
  qhub_request request;
  const qhub_session_box *session = qhub_bind_check(L, QHUB_SESSION_TYPE);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  request.method = name_field(L, "method");
  request.url = name_field(L, "url");
  request.body = string_field(L, "body", &request.body_length);
  lua_getfield(L, 2, "header_lines");
  request.timeout = seconds_field(L, "timeout");
  request.connect_timeout = seconds_field(L, "connect_timeout");
  request.max_bytes = bytes_field(L, "max_bytes", SIZE_MAX);
  request.stream = bytes_field(L, "stream", 0);
  request.once = flag_field(L, "once");
  request.decode = flag_field(L, "decode");
  header_size headers = measure_headers(L);
  qhub_transfer_box *box =
    qhub_bind_new(L, QHUB_TRANSFER_TYPE, sizeof *box, QHUB_TRANSFER_VALUES);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, TRANSFER, QHUB_TRANSFER_SESSION);
  if (request.body != NULL) {
    lua_pushvalue(L, BODY);
    lua_setiuservalue(L, TRANSFER, QHUB_TRANSFER_BODY);
  }
  box->transfer = qhub_transfer_new(&request, headers.count, headers.bytes);
  if (box->transfer == NULL) {
    lua_pushnil(L);
    lua_pushstring(L, qhub_bind_kind_name(QHUB_FAIL_MEMORY));
    lua_pushliteral(L, "not enough memory");
    return 3;
  }
  add_headers(L, HEADERS, box->transfer, headers.count);
  announce(L, TRANSFER, box->transfer);
  if (session->session != NULL && qhub_transfer_start(box->transfer, session->session)) return 1;
  const qhub_failure *failure = qhub_transfer_failure(box->transfer);
  lua_pushnil(L);
  lua_pushstring(L, qhub_bind_kind_name(failure != NULL ? failure->kind : QHUB_FAIL_CANCELLED));
  lua_pushstring(L, failure != NULL ? failure->message : "the session is closed");
  return 3;
}

/* ---- using one ---- */

/* The transfer at argument 1. A closed one still answers. */
static qhub_transfer *check(lua_State *L) {
  const qhub_transfer_box *box = qhub_bind_check(L, QHUB_TRANSFER_TYPE);
  if (box->transfer == NULL) luaL_error(L, "the transfer is closed");
  return box->transfer;
}

static const char *state_name(const qhub_transfer *transfer) {
  switch (qhub_transfer_get_state(transfer)) {
    case QHUB_TRANSFER_QUEUED: return "queued";
    case QHUB_TRANSFER_ACTIVE: return "active";
    case QHUB_TRANSFER_OPEN: return "open";
    default: return "done";
  }
}

/* transfer:state() -> "queued" | "active" | "open" | "done"   [-1, +1] */
static int state(lua_State *L) {
  lua_pushstring(L, state_name(check(L)));
  return 1;
}

/* transfer:status() -> integer | nil   [-1, +1] */
static int status(lua_State *L) {
  const qhub_headers *headers = qhub_transfer_headers(check(L));
  if (headers->complete) {
    lua_pushinteger(L, headers->status);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

/* Between the values of a name that came more than once. Dates in cookies have commas. */
static const char *separator(const char *name) {
  return strcmp(name, "set-cookie") == 0 ? "\n" : ", ";
}

/* transfer:headers() -> table   [-1, +1] */
static int headers(lua_State *L) {
  const qhub_headers *fields = qhub_transfer_headers(check(L));
  const char *name, *value;
  size_t cursor = 0;
  lua_newtable(L);
  while (fields->complete && qhub_headers_next(fields, &cursor, &name, &value)) {
    if (lua_getfield(L, -1, name) == LUA_TNIL) {
      lua_pop(L, 1);
      lua_pushstring(L, value);
    } else {
      lua_pushstring(L, separator(name));
      lua_pushstring(L, value);
      lua_concat(L, 3);
    }
    lua_setfield(L, -2, name);
  }
  return 1;
}

/* transfer:header(name) -> string | nil   [-2, +1] */
static int header(lua_State *L) {
  const qhub_headers *fields = qhub_transfer_headers(check(L));
  const char *wanted = luaL_checkstring(L, 2);
  const char *name, *value;
  size_t cursor = 0;
  lua_pushnil(L);
  while (fields->complete && qhub_headers_next(fields, &cursor, &name, &value)) {
    if (strcmp(name, wanted) != 0) continue;
    if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
      lua_pushstring(L, value);
    } else {
      lua_pushstring(L, separator(name));
      lua_pushstring(L, value);
      lua_concat(L, 3);
    }
  }
  return 1;
}

/* transfer:body() -> string   [-1, +1] */
static int body(lua_State *L) {
  size_t length;
  const char *bytes = qhub_transfer_held(check(L), &length);
  lua_pushlstring(L, bytes, length);
  return 1;
}

/* transfer:read(n) -> string of at most n bytes | nil   [-2, +1] */
static int read_bytes(lua_State *L) {
  qhub_transfer *transfer = check(L);
  lua_Integer most = luaL_checkinteger(L, 2);
  luaL_argcheck(L, most > 0, 2, "positive number of bytes expected");
  size_t length;
  const char *bytes = qhub_transfer_held(transfer, &length);
  if (length == 0) {
    lua_pushnil(L);
    return 1;
  }
  if ((lua_Unsigned)most < length) length = (size_t)most;
  lua_pushlstring(L, bytes, length);
  qhub_transfer_take(transfer, length);
  return 1;
}

/* transfer:failure() -> nil | kind, message, details   [-1, +1 or 3] */
static int failure(lua_State *L) {
  const qhub_failure *found = qhub_transfer_failure(check(L));
  if (found == NULL) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushstring(L, qhub_bind_kind_name(found->kind));
  lua_pushstring(L, found->message);
  lua_createtable(L, 0, 4);
  lua_pushstring(L, found->phase == QHUB_PHASE_CONNECT ? "connect" : "read");
  lua_setfield(L, -2, "phase");
  lua_pushboolean(L, found->sent);
  lua_setfield(L, -2, "sent");
  lua_pushboolean(L, found->stale);
  lua_setfield(L, -2, "stale");
  lua_pushinteger(L, found->code);
  lua_setfield(L, -2, "code");
  return 3;
}

/* Pushes "1.1" and the like, nil for none.  [-0, +1] */
static void push_version(lua_State *L, int version) {
  if (version == 0) {
    lua_pushnil(L);
  } else if (version >= 20) {
    lua_pushfstring(L, "%d", version / 10);
  } else {
    lua_pushfstring(L, "%d.%d", version / 10, version % 10);
  }
}

/* transfer:info() -> table   [-1, +1] */
static int info(lua_State *L) {
  qhub_transfer_info known;
  qhub_transfer_get_info(check(L), &known);
  lua_createtable(L, 0, 5);
  push_version(L, known.http_version);
  lua_setfield(L, -2, "http_version");
  lua_pushboolean(L, known.reused);
  lua_setfield(L, -2, "reused");
  lua_pushinteger(L, (lua_Integer)known.bytes_received);
  lua_setfield(L, -2, "bytes_received");
  lua_pushinteger(L, (lua_Integer)known.bytes_sent);
  lua_setfield(L, -2, "bytes_sent");
  if (known.address[0] != '\0') {
    bool is_ipv6 = strchr(known.address, ':') != NULL;
    lua_pushfstring(L, is_ipv6 ? "[%s]:%d" : "%s:%d", known.address, known.port);
    lua_setfield(L, -2, "remote");
  }
  return 1;
}

/* transfer:close(); also __close   [-1, +0] */
static int close_transfer(lua_State *L) {
  const qhub_transfer_box *box = qhub_bind_check(L, QHUB_TRANSFER_TYPE);
  if (box->transfer == NULL) return 0;
  qhub_transfer_close(box->transfer);
  lua_pushnil(L); /* the body may go */
  lua_setiuservalue(L, 1, QHUB_TRANSFER_BODY);
  return 0;
}

/* __gc   [-1, +0]
** The entry in the engine's table is gone: weak values are cleared before finalizers run. */
static int collect_transfer(lua_State *L) {
  qhub_transfer_box *box = qhub_bind_check(L, QHUB_TRANSFER_TYPE);
  qhub_transfer *transfer = box->transfer;
  box->transfer = NULL;
  if (transfer != NULL) qhub_transfer_free(transfer);
  return 0;
}

/* __tostring   [-1, +1] */
static int describe(lua_State *L) {
  const qhub_transfer_box *box = qhub_bind_check(L, QHUB_TRANSFER_TYPE);
  const char *name = box->transfer != NULL ? state_name(box->transfer) : "closed";
  lua_pushfstring(L, QHUB_TRANSFER_TYPE " (%s)", name);
  return 1;
}

static const luaL_Reg methods[] = {
  {"state", state},   {"status", status}, {"headers", headers},
  {"header", header}, {"body", body},     {"read", read_bytes},
  {"failure", failure}, {"info", info},   {"close", close_transfer},
  {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
  {"__gc", collect_transfer},
  {"__close", close_transfer},
  {"__tostring", describe},
  {NULL, NULL},
};

/* [-0, +0] */
void qhub_bind_transfer_type(lua_State *L) {
  qhub_bind_type(L, QHUB_TRANSFER_TYPE, methods, metamethods);
}
