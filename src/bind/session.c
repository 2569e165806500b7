/*
** core.engine: the session userdata. See engine/engine.h for what a session is. Its user value
** keeps the engine alive.
*/
#include <string.h>

#include "engine_bind.h"
#include "module.h"
#include "userdata.h"

enum { DEFAULT_CONNECTIONS = 64, MOST_CONNECTIONS = 100000 };

typedef struct {
  qhub_session *session;
} session_box;

static bool is_open(const void *object) {
  const session_box *box = object;
  return box->session != NULL && !qhub_session_is_closed(box->session);
}

static void release(void *object) {
  const session_box *box = object;
  if (box->session != NULL) qhub_session_close(box->session);
}

static void collect(void *object) {
  session_box *box = object;
  if (box->session != NULL) qhub_session_free(box->session);
  box->session = NULL;
}

static const qhub_userdata_type type = {
  .name = "qhub.Session",
  .label = "session",
  .size = sizeof(session_box),
  .values = QHUB_SESSION_VALUES,
  .is_open = is_open,
  .close = release,
  .collect = collect,
};

/* The session at argument 1, open or not. */
static qhub_session *check(lua_State *L) {
  const session_box *box = qhub_userdata_check(L, &type);
  return box->session;
}

/* Pushes a field of the table at argument 2 and returns it as a string, NULL when it is nil. The
** string lives while it is on the stack.  [-0, +1] */
static const char *string_field(lua_State *L, const char *name) {
  int found = lua_getfield(L, 2, name);
  if (found == LUA_TNIL) return NULL;
  if (found != LUA_TSTRING) {
    luaL_error(L, "field '%s': string expected, got %s", name, luaL_typename(L, -1));
  }
  return lua_tostring(L, -1);
}

/* [-0, +1] */
static const char *proxy_field(lua_State *L) {
  if (lua_getfield(L, 2, "proxy") == LUA_TBOOLEAN && !lua_toboolean(L, -1)) return "";
  lua_pop(L, 1);
  return string_field(L, "proxy");
}

/* [-0, +1] */
static int http_version_field(lua_State *L) {
  const char *version = string_field(L, "http_version");
  if (version == NULL) return 0;
  if (strcmp(version, "1.1") == 0) return 11;
  if (strcmp(version, "2") == 0) return 20;
  return luaL_error(L, "field 'http_version': \"1.1\" or \"2\" expected");
}

/* [-0, +1] */
static long max_connections_field(lua_State *L) {
  int is_integer = 1;
  lua_Integer value = DEFAULT_CONNECTIONS;
  if (lua_getfield(L, 2, "max_connections") != LUA_TNIL) value = lua_tointegerx(L, -1, &is_integer);
  if (!is_integer || value < 1) {
    luaL_error(L, "field 'max_connections': positive integer expected");
  }
  return value < MOST_CONNECTIONS ? (long)value : MOST_CONNECTIONS;
}

int qhub_bind_session(lua_State *L, qhub_engine *engine) {
  qhub_session_config config;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  config.proxy = proxy_field(L);
  config.ca_file = string_field(L, "ca_file");
  config.ca_path = string_field(L, "ca_path");
  config.client_cert = string_field(L, "client_cert");
  config.client_key = string_field(L, "client_key");
  config.http_version = http_version_field(L);
  config.max_connections = max_connections_field(L);
  config.verify = lua_getfield(L, 2, "verify") == LUA_TNIL || lua_toboolean(L, -1);
  session_box *box = qhub_userdata_new(L, &type);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, QHUB_SESSION_ENGINE);
  /* Last, since reading fields and making the userdata may have run Lua (__index, __gc). */
  if (qhub_engine_is_closed(engine)) return luaL_error(L, "the engine is closed");
  box->session = qhub_session_new(engine, &config);
  if (box->session == NULL) return luaL_error(L, "not enough memory");
  return 1;
}

/* session:prepare(request) -> prepared   [-2, +1] */
static int prepare(lua_State *L) {
  return qhub_bind_prepare(L, check(L));
}

/* session:start(prepared, url, body, closed) -> transfer, or nil, kind, message   [-5, +1 or 3] */
static int start(lua_State *L) {
  return qhub_bind_start(L, check(L));
}

static const luaL_Reg methods[] = {
  {"prepare", prepare},
  {"start", start},
  {"close", qhub_userdata_close},
  {NULL, NULL},
};

/* [-0, +0] */
void qhub_register_session(lua_State *L) {
  qhub_userdata_register(L, &type, methods, NULL);
}
