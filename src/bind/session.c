/*
** core.engine: the session userdata, and prepared requests. See engine/engine.h for what they are.
**
** The user value of a session keeps the engine alive. A prepared request is plain memory of Lua's,
** kept by the transfers that were started from it.
*/
#include <stdint.h>

#include "engine_bind.h"
#include "module.h"
#include "userdata.h"

enum { DEFAULT_CONNECTIONS = 64, MOST_CONNECTIONS = 100000 };

/* The name of prepared requests, and of their metatable, which has nothing but this name. */
static const char *const PREPARED = "qhub.Prepared";

/* The longest that anything is waited for: beyond it timers need no precision. */
static const double FOREVER = 1e9;

static bool is_open(void *session) {
  return !qhub_session_is_closed(session);
}

static void release(void *session) {
  qhub_session_close(session);
}

static void collect(void *session) {
  qhub_session_free(session);
}

static const qhub_userdata_type type = {
  .name = "qhub.Session",
  .label = "session",
  .values = QHUB_SESSION_VALUES,
  .is_open = is_open,
  .close = release,
  .free = collect,
};

/* Pushes the fields of the table at argument 2, at 3 and after. `names` ends with NULL.
** [-?, +number of names] */
static void push_fields(lua_State *L, const char *const *names) {
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  for (; *names != NULL; names++) lua_getfield(L, 2, *names);
}

int qhub_bind_session(lua_State *L, qhub_engine *engine) {
  /* Stack. */
  enum { PROXY = 3, CA_FILE, CA_PATH, CERT, KEY, VERSION, CONNECTIONS, VERIFY };
  static const char *const names[] = {"proxy",           "ca_file",    "ca_path",
                                      "client_cert",     "client_key", "http_version",
                                      "max_connections", "verify",     NULL};
  static const char *const versions[] = {"any", "1.1", "2", NULL};
  static const int version_numbers[] = {0, 11, 20};
  push_fields(L, names);
  lua_Integer connections = luaL_optinteger(L, CONNECTIONS, DEFAULT_CONNECTIONS);
  luaL_argcheck(L, connections > 0, CONNECTIONS, "positive integer expected");
  qhub_session_config config = {
    .proxy = lua_isboolean(L, PROXY) ? "" : luaL_optstring(L, PROXY, NULL),
    .ca_file = luaL_optstring(L, CA_FILE, NULL),
    .ca_path = luaL_optstring(L, CA_PATH, NULL),
    .client_cert = luaL_optstring(L, CERT, NULL),
    .client_key = luaL_optstring(L, KEY, NULL),
    .http_version = version_numbers[luaL_checkoption(L, VERSION, "any", versions)],
    .max_connections = connections < MOST_CONNECTIONS ? (long)connections : MOST_CONNECTIONS,
    .verify = lua_isnil(L, VERIFY) || lua_toboolean(L, VERIFY),
  };
  void **place = qhub_userdata_new(L, &type);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, QHUB_SESSION_ENGINE);
  /* Last, since reading fields and making the userdata may have run Lua (__index, __gc). */
  if (qhub_engine_is_closed(engine)) return luaL_error(L, "the engine is closed");
  *place = qhub_session_new(engine, &config);
  if (*place == NULL) return luaL_error(L, "not enough memory");
  return 1;
}

/* A number of bytes on the stack, or `otherwise` if it is nil or false. */
static size_t check_bytes(lua_State *L, int index, size_t otherwise) {
  if (!lua_toboolean(L, index)) return otherwise;
  lua_Integer bytes = luaL_checkinteger(L, index);
  luaL_argcheck(L, bytes >= 0, index, "number of bytes expected");
  return (lua_Unsigned)bytes < SIZE_MAX ? (size_t)bytes : SIZE_MAX;
}

static double check_seconds(lua_State *L, int index) {
  lua_Number seconds = luaL_checknumber(L, index);
  return seconds < FOREVER ? seconds : FOREVER;
}

/* session:prepare { method =, header_lines =, timeout =, connect_timeout =, max_bytes =, stream =,
** once =, decode = } -> prepared   [-2, +1] */
static int prepare(lua_State *L) {
  /* Stack. */
  enum { METHOD = 3, HEADERS, TIMEOUT, CONNECT_TIMEOUT, MAX_BYTES, STREAM, ONCE, DECODE };
  static const char *const names[] = {"method",    "header_lines", "timeout", "connect_timeout",
                                      "max_bytes", "stream",       "once",    "decode",
                                      NULL};
  (void)qhub_userdata_check(L, &type);
  push_fields(L, names);
  qhub_request request = {
    .method = luaL_checkstring(L, METHOD),
    .header_lines = luaL_checkstring(L, HEADERS),
    .timeout = check_seconds(L, TIMEOUT),
    .connect_timeout = check_seconds(L, CONNECT_TIMEOUT),
    .max_bytes = check_bytes(L, MAX_BYTES, SIZE_MAX),
    .stream = check_bytes(L, STREAM, 0),
    .once = lua_toboolean(L, ONCE),
    .decode = lua_toboolean(L, DECODE),
  };
  qhub_prepared *prepared = lua_newuserdatauv(L, qhub_prepared_size(&request), 0);
  qhub_prepared_init(prepared, &request);
  luaL_setmetatable(L, PREPARED);
  return 1;
}

/* session:start(prepared, url, body, closed) -> transfer, whether it is done already   [-5, +2] */
static int start(lua_State *L) {
  qhub_session *session = qhub_userdata_check(L, &type);
  if (session == NULL) return luaL_error(L, "the session is closed");
  return qhub_bind_start(L, session, luaL_checkudata(L, 2, PREPARED));
}

static const luaL_Reg methods[] = {
  {"prepare", prepare},
  {"start", start},
  {"close", qhub_userdata_close},
  {NULL, NULL},
};

/* [-0, +0] */
void qhub_register_session(lua_State *L) {
  (void)luaL_newmetatable(L, PREPARED);
  lua_pop(L, 1);
  qhub_userdata_register(L, &type, methods, NULL);
}
