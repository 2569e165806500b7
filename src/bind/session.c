/*
** core.engine: the session userdata. See core/engine.h for what a session is. Its user value keeps
** the engine alive.
*/
#include <string.h>

#include "engine_bind.h"

enum { DEFAULT_CONNECTIONS = 64, MOST_CONNECTIONS = 100000 };

/* Pushes a field of the table at argument 2 and returns it as a string, NULL when it is nil. The
** string lives while it is on the stack.  [-0, +1] */
static const char *string_field(lua_State *L, const char *name) {
  int type = lua_getfield(L, 2, name);
  if (type == LUA_TNIL) return NULL;
  if (type != LUA_TSTRING) {
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

int qhub_bind_session(lua_State *L) {
  qhub_session_config config;
  const qhub_engine_box *engine = qhub_bind_check(L, QHUB_ENGINE_TYPE);
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
  qhub_session_box *box =
    qhub_bind_new(L, QHUB_SESSION_TYPE, sizeof *box, QHUB_SESSION_VALUES);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, QHUB_SESSION_ENGINE);
  /* Last, since reading fields and making the userdata may have run Lua (__index, __gc). */
  if (engine->engine == NULL || qhub_engine_is_closed(engine->engine)) {
    return luaL_error(L, "the engine is closed");
  }
  box->session = qhub_session_new(engine->engine, &config);
  if (box->session == NULL) return luaL_error(L, "not enough memory");
  return 1;
}

/* session:close(); also __close   [-1, +0] */
static int close_session(lua_State *L) {
  const qhub_session_box *box = qhub_bind_check(L, QHUB_SESSION_TYPE);
  if (box->session != NULL) qhub_session_close(box->session);
  return 0;
}

/* __gc   [-1, +0] */
static int collect_session(lua_State *L) {
  qhub_session_box *box = qhub_bind_check(L, QHUB_SESSION_TYPE);
  qhub_session *session = box->session;
  box->session = NULL;
  if (session != NULL) qhub_session_free(session);
  return 0;
}

/* __tostring   [-1, +1] */
static int describe(lua_State *L) {
  const qhub_session_box *box = qhub_bind_check(L, QHUB_SESSION_TYPE);
  bool open = box->session != NULL && !qhub_session_is_closed(box->session);
  lua_pushstring(L, open ? QHUB_SESSION_TYPE : QHUB_SESSION_TYPE " (closed)");
  return 1;
}

static const luaL_Reg methods[] = {
  {"prepare", qhub_bind_prepare},
  {"start", qhub_bind_start},
  {"close", close_session},
  {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
  {"__gc", collect_session},
  {"__close", close_session},
  {"__tostring", describe},
  {NULL, NULL},
};

/* [-0, +0] */
void qhub_bind_session_type(lua_State *L) {
  qhub_bind_type(L, QHUB_SESSION_TYPE, methods, metamethods);
}
