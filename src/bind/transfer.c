/*
** core.engine: the transfer userdata. See engine/engine.h for what a transfer is. Its user values
** keep the session alive, and prepared request, URL and body, which are read where Lua has them.
*/
#include <string.h>

#include "engine_bind.h"
#include "files.h"
#include "module.h"
#include "userdata.h"

enum { SESSION = 1, PREPARED, URL, BODY, VALUES = BODY }; /* user values */

enum { USUAL_HEADERS = 16 }; /* most responses have no more */

static void release(void *transfer) {
  qhub_transfer_close(transfer);
}

/* The entry in the engine's table is gone: weak values are cleared before finalizers run. */
static void collect(void *transfer) {
  qhub_transfer_free(transfer);
}

static const qhub_userdata_type type = {
  .name = "qhub.Transfer",
  .label = "transfer",
  .values = VALUES,
  .close = release,
  .free = collect,
};

qhub_transfer *qhub_bind_check_transfer(lua_State *L, int argument) {
  qhub_transfer *const *place = luaL_checkudata(L, argument, type.name);
  luaL_argcheck(L, *place != NULL, argument, "the transfer is closed");
  return *place;
}

static const char *const kind_names[] = {
  [QHUB_FAIL_TIMEOUT] = "timeout",     [QHUB_FAIL_NETWORK] = "network",
  [QHUB_FAIL_TOO_LARGE] = "too_large", [QHUB_FAIL_CANCELLED] = "cancelled",
  [QHUB_FAIL_MEMORY] = "memory",
};

static const char *const state_names[] = {
  [QHUB_TRANSFER_DONE] = "done",
  [QHUB_TRANSFER_QUEUED] = "queued",
  [QHUB_TRANSFER_ACTIVE] = "active",
  [QHUB_TRANSFER_OPEN] = "open",
};

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

/* A closed transfer at an argument, or a new one if there is none.  [-0, +1 its userdata] */
static qhub_transfer *take_transfer(lua_State *L, int argument) {
  if (!lua_isnil(L, argument)) {
    qhub_transfer *transfer = qhub_bind_check_transfer(L, argument);
    bool done = qhub_transfer_look(transfer).state == QHUB_TRANSFER_DONE;
    luaL_argcheck(L, done, argument, "the transfer is under way");
    lua_pushvalue(L, argument);
    return transfer;
  }
  qhub_transfer **place = qhub_userdata_new(L, &type);
  *place = qhub_transfer_new();
  if (*place == NULL) luaL_error(L, "not enough memory");
  announce(L, lua_gettop(L), *place);
  return *place;
}

/* Has the transfer on top keep the value at `index` alive.  [-0, +0] */
static void keep(lua_State *L, int index, int user_value) {
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, user_value);
}

int qhub_bind_start(lua_State *L, qhub_session *session, const qhub_prepared *prepared) {
  enum { AT_SESSION = 1, AT_PREPARED, AT_URL, AT_BODY, AT_OLD }; /* stack */
  lua_settop(L, AT_OLD);
  const char *url = check_text(L, AT_URL);
  size_t length = 0;
  const char *body = NULL;
  if (!lua_isnil(L, AT_BODY)) {
    luaL_checktype(L, AT_BODY, LUA_TSTRING); /* the text of a number would have no owner */
    body = lua_tolstring(L, AT_BODY, &length);
  }
  qhub_transfer *transfer = take_transfer(L, AT_OLD);
  keep(L, AT_SESSION, SESSION);
  keep(L, AT_PREPARED, PREPARED);
  keep(L, AT_URL, URL);
  keep(L, AT_BODY, BODY);
  lua_pushboolean(L, !qhub_transfer_start(transfer, session, prepared, url, body, length));
  return 2;
}

/* ---- using one ---- */

/* The transfer at argument 1. */
static qhub_transfer *check(lua_State *L) {
  return qhub_userdata_check_open(L, &type);
}

/* transfer:state() -> "queued" | "active" | "open" | "done"   [-1, +1] */
static int state(lua_State *L) {
  lua_pushstring(L, state_names[qhub_transfer_look(check(L)).state]);
  return 1;
}

/* Between the values of a name that came more than once. Dates in cookies have commas. */
static const char *separator(const char *name) {
  return strcmp(name, "set-cookie") == 0 ? "\n" : ", ";
}

/* transfer:headers() -> table   [-1, +1] */
static int headers(lua_State *L) {
  const qhub_headers *fields = qhub_transfer_look(check(L)).headers;
  const char *name, *value;
  size_t cursor = 0;
  lua_createtable(L, 0, USUAL_HEADERS);
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

/* transfer:read(n) -> string of at most n bytes | nil for now | false: no more will come
** transfer:read(n, part, all): they go into the part file, and their number is returned; 0 if some
** are kept until they fill a block of the file, which is not done with `all`
** [-2 to 4, +1] */
static int read_bytes(lua_State *L) {
  qhub_transfer *transfer = check(L);
  lua_Integer most = luaL_checkinteger(L, 2);
  luaL_argcheck(L, most > 0, 2, "positive number of bytes expected");
  qhub_partfile *part = lua_isnoneornil(L, 3) ? NULL : qhub_check_part(L, 3);
  qhub_transfer_view view = qhub_transfer_look(transfer);
  size_t length = (lua_Unsigned)most < view.length ? (size_t)most : view.length;
  if (length == 0 && view.state == QHUB_TRANSFER_DONE) {
    lua_pushboolean(L, false);
  } else if (length == 0) {
    lua_pushnil(L);
  } else if (part == NULL) {
    lua_pushlstring(L, view.held, length);
  } else {
    bool all = lua_toboolean(L, 4) || (lua_Unsigned)most <= view.length;
    if (!all) length = qhub_transfer_portion(transfer, part->size);
    (void)qhub_partfile_append(part, view.held, length); /* a failure stays with the part */
    lua_pushinteger(L, (lua_Integer)length);
  }
  if (length > 0) qhub_transfer_take(transfer, length);
  return 1;
}

/* Pushes kind, message and details.  [-0, +3] */
static void push_failure(lua_State *L, const qhub_failure *found) {
  lua_pushstring(L, kind_names[found->kind]);
  lua_pushstring(L, found->message);
  lua_createtable(L, 0, 4);
  lua_pushstring(L, found->phase);
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
  const qhub_failure *found = qhub_transfer_look(check(L)).failure;
  if (found == NULL) {
    lua_pushnil(L);
    return 1;
  }
  push_failure(L, found);
  return 3;
}

/* transfer:result() -> status_code, body; after a failure also kind, message, details
** [-1, +0, 2 or 5]
** Nothing while it is neither done nor, for a stream, open. `status_code` is false when no
** response came; `body` is nil then and for streams. */
static int result(lua_State *L) {
  qhub_transfer_view view = qhub_transfer_look(check(L));
  bool open = view.state == QHUB_TRANSFER_OPEN && view.is_stream;
  if (!open && view.state != QHUB_TRANSFER_DONE) return 0;
  if (view.headers->complete) {
    lua_pushinteger(L, view.headers->status);
  } else {
    lua_pushboolean(L, false);
  }
  if (view.headers->complete && !view.is_stream) {
    lua_pushlstring(L, view.held, view.length);
  } else {
    lua_pushnil(L);
  }
  if (view.failure == NULL) return 2;
  push_failure(L, view.failure);
  return 5;
}

/* transfer:close(); also __close   [-1, +0] */
static int close_transfer(lua_State *L) {
  (void)qhub_userdata_close(L);
  lua_pushnil(L); /* they may go */
  lua_setiuservalue(L, 1, URL);
  lua_pushnil(L);
  lua_setiuservalue(L, 1, BODY);
  return 0;
}

/* __tostring   [-1, +1] */
static int describe(lua_State *L) {
  const char *state = state_names[qhub_transfer_look(check(L)).state];
  lua_pushfstring(L, "%s (%s)", type.name, state);
  return 1;
}

static const luaL_Reg methods[] = {
  {"state", state},   {"headers", headers},      {"read", read_bytes}, {"failure", failure},
  {"result", result}, {"close", close_transfer}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
  {"__close", close_transfer},
  {"__tostring", describe},
  {NULL, NULL},
};

/* [-0, +0] */
void qhub_register_transfer(lua_State *L) {
  qhub_userdata_register(L, &type, methods, metamethods);
}
