/*
** core.engine: the engine userdata. Arguments, results and lifetimes; what the engine does is in
** engine/engine.h. Errors are raised for usage errors and lack of memory only, never below libcurl.
*/
#include "engine_bind.h"
#include "module.h"
#include "userdata.h"

/* Also false in a child of fork(). */
static bool is_open(void *engine) {
  return !qhub_engine_is_closed(engine);
}

static void release(void *engine) {
  qhub_engine_close(engine);
}

static void collect(void *engine) {
  qhub_engine_free(engine);
}

static const qhub_userdata_type type = {
  .name = "qhub.Engine",
  .label = "engine",
  .values = QHUB_ENGINE_VALUES,
  .is_open = is_open,
  .close = release,
  .free = collect,
};

/* The engine at argument 1, open. */
static qhub_engine *check_open(lua_State *L) {
  return qhub_userdata_check_open(L, &type);
}

/* core.engine() -> engine   [-0, +1] */
static int new_engine(lua_State *L) {
  const char *message = NULL;
  void **place = qhub_userdata_new(L, &type);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_setiuservalue(L, -2, QHUB_ENGINE_TRANSFERS);
  *place = qhub_engine_new(&message);
  if (*place == NULL) return luaL_error(L, "cannot make an HTTP engine: %s", message);
  return 1;
}

/* What the stock interpreter's handler of Ctrl-C asks for (laction in lua.c). */
enum { INTERRUPT_MASK = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT };

/* The stock interpreter handles Ctrl-C with a hook that raises "interrupted!" at the next
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
** False: another one is ready, the time is over, or a signal came. All transfers of a closed engine
** are done, also in a child of fork(). */
static int wait_for(lua_State *L) {
  qhub_engine *engine = qhub_userdata_check(L, &type);
  qhub_transfer *transfer = qhub_bind_check_transfer(L, 2);
  lua_Number timeout = check_timeout(L, 3);
  if (engine == NULL || qhub_engine_is_closed(engine)) {
    lua_pushboolean(L, true);
    return 1;
  }
  hook_watch watch = watch_hook(L);
  bool ready = qhub_engine_wait(engine, transfer, timeout, was_interrupted, &watch);
  if (watch.main_thread != L && was_interrupted(&watch)) move_interrupt(L, &watch);
  lua_pushboolean(L, ready);
  return 1;
}

/* engine:ready() -> transfer | nil   [-1, +1]
** One that was collected meanwhile is skipped. */
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

/* engine:queued() -> how many of them wait for their turn   [-1, +1] */
static int queued(lua_State *L) {
  const qhub_engine *engine = qhub_userdata_check(L, &type);
  lua_pushinteger(L, engine != NULL ? (lua_Integer)qhub_engine_queued(engine) : 0);
  return 1;
}

/* engine:is_closed() -> boolean; true also in a child of fork()   [-1, +1] */
static int is_closed(lua_State *L) {
  qhub_engine *engine = qhub_userdata_check(L, &type);
  lua_pushboolean(L, engine == NULL || qhub_engine_is_closed(engine));
  return 1;
}

/* engine:session(config) -> session   [-2, +1] */
static int session(lua_State *L) {
  return qhub_bind_session(L, check_open(L));
}

static const luaL_Reg methods[] = {
  {"step", step},
  {"wait", wait_for},
  {"ready", ready},
  {"session", session},
  {"pollfd", pollfd},
  {"timeout", timeout},
  {"active", active},
  {"queued", queued},
  {"is_closed", is_closed},
  {"close", qhub_userdata_close},
  {NULL, NULL},
};

/* [-0, +1] the function that makes an engine */
int qhub_open_engine(lua_State *L) {
  qhub_userdata_register(L, &type, methods, NULL);
  lua_pushcfunction(L, new_engine);
  return 1;
}
