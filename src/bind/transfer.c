/*
** core.engine: the transfer userdata. See core/engine.h for what a transfer is. Its user values
** keep the session alive, and the body, which libcurl reads where Lua has it.
*/
#include <string.h>

#include "engine_bind.h"

/* Lets ready() find the userdata at `index`.  [-0, +0] */
static void announce(lua_State *L, int index, const qhub_transfer *transfer) {
  lua_getiuservalue(L, 1, QHUB_SESSION_ENGINE);
  lua_getiuservalue(L, -1, QHUB_ENGINE_TRANSFERS);
  lua_pushvalue(L, index);
  lua_rawsetp(L, -2, transfer);
  lua_pop(L, 2);
}

/* [-0, +1] a string without NUL byte at an argument */
static const char *check_text(lua_State *L, int argument) {
  size_t length;
  const char *text = luaL_checklstring(L, argument, &length);
  luaL_argcheck(L, length > 0 && strlen(text) == length, argument, "text expected");
  return text;
}

/* A table in place of a prepared request stands for one that is prepared for this start alone; it
** has `url` and `body`, too.  [-0, +0] */
static void expand_table(lua_State *L) {
  lua_settop(L, 2);
  lua_getfield(L, 2, "url");
  if (lua_getfield(L, 2, "body") == LUA_TBOOLEAN) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  lua_pushcfunction(L, qhub_bind_prepare);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_call(L, 2, 1);
  lua_replace(L, 2);
}

int qhub_bind_start(lua_State *L) {
  enum { PREPARED = 2, URL, BODY, TRANSFER }; /* stack */
  const qhub_session_box *session = qhub_bind_check(L, QHUB_SESSION_TYPE);
  if (lua_istable(L, PREPARED)) expand_table(L);
  lua_settop(L, BODY);
  const qhub_prepared_box *prepared = luaL_checkudata(L, PREPARED, QHUB_PREPARED_TYPE);
  luaL_argcheck(L, prepared->prepared != NULL, PREPARED, "a prepared request expected");
  const char *url = check_text(L, URL);
  size_t length = 0;
  const char *body = NULL;
  if (!lua_isnil(L, BODY)) {
    luaL_checktype(L, BODY, LUA_TSTRING); /* a number's text would be nobody's */
    body = lua_tolstring(L, BODY, &length);
  }
  qhub_transfer_box *box =
    qhub_bind_new(L, QHUB_TRANSFER_TYPE, sizeof *box, QHUB_TRANSFER_VALUES);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, TRANSFER, QHUB_TRANSFER_SESSION);
  if (body != NULL) {
    lua_pushvalue(L, BODY);
    lua_setiuservalue(L, TRANSFER, QHUB_TRANSFER_BODY);
  }
  box->transfer = qhub_transfer_new(prepared->prepared, url, body, length);
  if (box->transfer == NULL) {
    lua_pushnil(L);
    lua_pushstring(L, qhub_bind_kind_name(QHUB_FAIL_MEMORY));
    lua_pushliteral(L, "not enough memory");
    return 3;
  }
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

/* Pushes kind, message and details.  [-0, +3] */
static void push_failure(lua_State *L, const qhub_failure *found) {
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
}

/* transfer:failure() -> nil | kind, message, details   [-1, +1 or 3] */
static int failure(lua_State *L) {
  const qhub_failure *found = qhub_transfer_failure(check(L));
  if (found == NULL) {
    lua_pushnil(L);
    return 1;
  }
  push_failure(L, found);
  return 3;
}

/* transfer:outcome() -> status_code, body; after a failure also kind, message, details
** [-1, +0, 2 or 5]
** Nothing while it is neither open nor done. `status_code` is nil when no answer came, `body` when
** none came and for streams. */
static int outcome(lua_State *L) {
  const qhub_transfer *transfer = check(L);
  qhub_transfer_state now = qhub_transfer_get_state(transfer);
  if (now != QHUB_TRANSFER_OPEN && now != QHUB_TRANSFER_DONE) return 0;
  const qhub_headers *fields = qhub_transfer_headers(transfer);
  if (fields->complete) {
    lua_pushinteger(L, fields->status);
  } else {
    lua_pushnil(L);
  }
  if (fields->complete && !qhub_transfer_is_stream(transfer)) {
    size_t length;
    const char *bytes = qhub_transfer_held(transfer, &length);
    lua_pushlstring(L, bytes, length);
  } else {
    lua_pushnil(L);
  }
  const qhub_failure *found = qhub_transfer_failure(transfer);
  if (found == NULL) return 2;
  push_failure(L, found);
  return 5;
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
  {"failure", failure}, {"outcome", outcome}, {"info", info},   {"close", close_transfer},
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
