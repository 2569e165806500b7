/*
** core.engine: the session userdata. See engine/engine.h for what a session is. Its user value
** keeps the engine alive.
*/
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

int qhub_bind_session(lua_State *L, qhub_engine *engine) {
  /* Stack. */
  enum { PROXY = 3, CA_FILE, CA_PATH, CERT, KEY, VERSION, CONNECTIONS, VERIFY };
  static const char *const names[] = {"proxy",           "ca_file",    "ca_path",
                                      "client_cert",     "client_key", "http_version",
                                      "max_connections", "verify",     NULL};
  static const char *const versions[] = {"any", "1.1", "2", NULL};
  static const int version_numbers[] = {0, 11, 20};
  qhub_bind_push_fields(L, names);
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
