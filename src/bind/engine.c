/*
** core.engine: the engine userdata. Arguments, results and lifetimes; what the engine does is in
** core/engine.h. Errors are raised for misuse and lack of memory only, never below libcurl.
*/
#include <math.h>
#include <string.h>

#include "engine_bind.h"
#include "module.h"

void qhub_bind_type(lua_State *L, const char *name, const luaL_Reg *methods,
                    const luaL_Reg *metamethods) {
  luaL_newmetatable(L, name);
  lua_pushvalue(L, -1);
  luaL_setfuncs(L, metamethods, 1);
  lua_newtable(L);
  lua_pushvalue(L, -2);
  luaL_setfuncs(L, methods, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void *qhub_bind_check(lua_State *L, const char *name) {
  if (lua_getmetatable(L, 1)) {
    bool same = lua_rawequal(L, -1, lua_upvalueindex(1));
    lua_pop(L, 1);
    if (same) return lua_touserdata(L, 1);
  }
  return luaL_checkudata(L, 1, name);
}

void *qhub_bind_new(lua_State *L, const char *name, size_t size, int values) {
  void *box = lua_newuserdatauv(L, size, values);
  memset(box, 0, size);
  luaL_setmetatable(L, name);
  return box;
}

const char *qhub_bind_kind_name(qhub_failure_kind kind) {
  switch (kind) {
    case QHUB_FAIL_TIMEOUT: return "timeout";
    case QHUB_FAIL_TOO_LARGE: return "too_large";
    case QHUB_FAIL_CANCELLED: return "cancelled";
    case QHUB_FAIL_MEMORY: return "memory";
    default: return "network";
  }
}

/* The engine at argument 1, open. */
static qhub_engine *check_open(lua_State *L) {
  const qhub_engine_box *box = qhub_bind_check(L, QHUB_ENGINE_TYPE);
  if (box->engine == NULL || qhub_engine_is_closed(box->engine)) {
    luaL_error(L, "the engine is closed");
  }
  return box->engine;
}

/* core.engine() -> engine   [-0, +1] */
static int new_engine(lua_State *L) {
  const char *message = NULL;
  qhub_engine_box *box =
    qhub_bind_new(L, QHUB_ENGINE_TYPE, sizeof *box, QHUB_ENGINE_VALUES);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_setiuservalue(L, -2, QHUB_ENGINE_TRANSFERS);
  box->engine = qhub_engine_new(&message);
  if (box->engine == NULL) return luaL_error(L, "cannot make an HTTP engine: %s", message);
  return 1;
}

/* What the stock interpreter's handler of Ctrl-C asks for (laction in lua.c). */
enum { INTERRUPT_MASK = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT };

/* The stock interpreter answers Ctrl-C with a hook that raises "interrupted!" at the next
** instruction of the main thread. */
typedef struct {
  lua_State *main_thread; /* for as long as one step lasts */
  lua_Hook known;         /* its hook before the step */
} hook_watch;

/* Whether the main thread got a hook since, or has one that can be nothing but an interrupt. */
static bool was_interrupted(void *user) {
  const hook_watch *watch = user;
  lua_Hook hook = lua_gethook(watch->main_thread);
  if (hook == NULL) return false;
  return hook != watch->known || (lua_gethookmask(watch->main_thread) == INTERRUPT_MASK &&
                                  lua_gethookcount(watch->main_thread) == 1);
}

/* Ctrl-C in a coroutine: the main thread does not run while a coroutine waits here, so the hook is
** moved to where the program is.  [-0, +0] */
static void move_interrupt(lua_State *L, const hook_watch *watch) {
  lua_Hook hook = lua_gethook(watch->main_thread);
  int mask = lua_gethookmask(watch->main_thread);
  int count = lua_gethookcount(watch->main_thread);
  if (hook == lua_gethook(L)) return;
  lua_sethook(watch->main_thread, NULL, 0, 0);
  lua_sethook(L, hook, mask, count);
}

/* Optional seconds at an argument; negative: none given.  [-0, +0] */
static lua_Number check_timeout(lua_State *L, int argument) {
  if (lua_isnoneornil(L, argument)) return -1;
  lua_Number timeout = luaL_checknumber(L, argument);
  luaL_argcheck(L, timeout >= 0, argument, "seconds, 0 or more, expected");
  return timeout;
}

/* [-0, +0] */
static hook_watch watch_hook(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  hook_watch watch = {lua_tothread(L, -1), NULL};
  lua_pop(L, 1);
  watch.known = lua_gethook(watch.main_thread);
  return watch;
}

/* engine:step(timeout) -> number of transfers that are ready   [-2, +1] */
static int step(lua_State *L) {
  qhub_engine *engine = check_open(L);
  lua_Number timeout = check_timeout(L, 2);
  hook_watch watch = watch_hook(L);
  size_t count = qhub_engine_step(engine, timeout, was_interrupted, &watch);
  if (watch.main_thread != L && was_interrupted(&watch)) move_interrupt(L, &watch);
  lua_pushinteger(L, (lua_Integer)count);
  return 1;
}

/* engine:wait(transfer, timeout) -> whether the transfer is ready or done   [-3, +1]
** False: another one is ready, the time is over, or a signal came. */
static int wait_for(lua_State *L) {
  qhub_engine *engine = check_open(L);
  const qhub_transfer_box *box = luaL_checkudata(L, 2, QHUB_TRANSFER_TYPE);
  lua_Number timeout = check_timeout(L, 3);
  luaL_argcheck(L, box->transfer != NULL, 2, "the transfer is closed");
  hook_watch watch = watch_hook(L);
  bool ready = qhub_engine_wait(engine, box->transfer, timeout, was_interrupted, &watch);
  if (watch.main_thread != L && was_interrupted(&watch)) move_interrupt(L, &watch);
  lua_pushboolean(L, ready);
  return 1;
}

/* engine:ready() -> transfer | nil   [-1, +1]
** News of a transfer that was collected meanwhile is nobody's. */
static int ready(lua_State *L) {
  qhub_engine *engine = check_open(L);
  lua_getiuservalue(L, 1, QHUB_ENGINE_TRANSFERS);
  for (;;) {
    const qhub_transfer *transfer = qhub_engine_ready(engine);
    if (transfer == NULL) {
      lua_pushnil(L);
      return 1;
    }
    if (lua_rawgetp(L, -1, transfer) != LUA_TNIL) return 1;
    lua_pop(L, 1);
  }
}

/* engine:pollfd() -> descriptor | nil   [-1, +1] */
static int pollfd(lua_State *L) {
  int fd = qhub_engine_pollfd(check_open(L));
  if (fd < 0) {
    lua_pushnil(L);
  } else {
    lua_pushinteger(L, fd);
  }
  return 1;
}

/* engine:events() -> what to wait for on the descriptor   [-1, +1] */
static int events(lua_State *L) {
  (void)check_open(L);
  lua_pushliteral(L, "r");
  return 1;
}

/* engine:timeout() -> seconds | nil   [-1, +1] */
static int timeout(lua_State *L) {
  double seconds = qhub_engine_timeout(check_open(L));
  if (seconds < 0) {
    lua_pushnil(L);
  } else {
    lua_pushnumber(L, seconds);
  }
  return 1;
}

/* engine:active() -> number of transfers under way   [-1, +1] */
static int active(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)qhub_engine_active(check_open(L)));
  return 1;
}

/* engine:is_closed() -> boolean; true also in a child of fork()   [-1, +1] */
static int is_closed(lua_State *L) {
  const qhub_engine_box *box = qhub_bind_check(L, QHUB_ENGINE_TYPE);
  lua_pushboolean(L, box->engine == NULL || qhub_engine_is_closed(box->engine));
  return 1;
}

/* engine:close(); also __close   [-1, +0] */
static int close_engine(lua_State *L) {
  const qhub_engine_box *box = qhub_bind_check(L, QHUB_ENGINE_TYPE);
  if (box->engine != NULL) qhub_engine_close(box->engine);
  return 0;
}

/* __gc   [-1, +0] */
static int collect_engine(lua_State *L) {
  qhub_engine_box *box = qhub_bind_check(L, QHUB_ENGINE_TYPE);
  qhub_engine *engine = box->engine;
  box->engine = NULL;
  if (engine != NULL) qhub_engine_free(engine);
  return 0;
}

/* __tostring   [-1, +1] */
static int describe(lua_State *L) {
  const qhub_engine_box *box = qhub_bind_check(L, QHUB_ENGINE_TYPE);
  if (box->engine == NULL || qhub_engine_is_closed(box->engine)) {
    lua_pushliteral(L, QHUB_ENGINE_TYPE " (closed)");
  } else {
    lua_pushfstring(L, QHUB_ENGINE_TYPE " (%I under way)",
                    (LUAI_UACINT)qhub_engine_active(box->engine));
  }
  return 1;
}

static const luaL_Reg methods[] = {
  {"step", step},       {"wait", wait_for}, {"ready", ready},
  {"session", qhub_bind_session},
  {"pollfd", pollfd},   {"events", events},   {"timeout", timeout},
  {"active", active},   {"is_closed", is_closed}, {"close", close_engine},
  {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
  {"__gc", collect_engine},
  {"__close", close_engine},
  {"__tostring", describe},
  {NULL, NULL},
};

/* [-0, +1] the function that makes an engine */
int qhub_open_engine(lua_State *L) {
  qhub_bind_type(L, QHUB_ENGINE_TYPE, methods, metamethods);
  qhub_bind_session_type(L);
  qhub_bind_prepared_type(L);
  qhub_bind_transfer_type(L);
  lua_pushcfunction(L, new_engine);
  return 1;
}
