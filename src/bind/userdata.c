/* Userdata: see userdata.h. */
#include "userdata.h"

#include <string.h>

enum { METATABLE = 1, TYPE = 2 }; /* upvalues */

void *qhub_userdata_new(lua_State *L, const qhub_userdata_type *type) {
  size_t size = type->size > 0 ? type->size : sizeof(void *);
  void *memory = lua_newuserdatauv(L, size, type->values);
  memset(memory, 0, size);
  luaL_setmetatable(L, type->name);
  return memory;
}

static void *check_memory(lua_State *L, const qhub_userdata_type *type) {
  if (lua_type(L, 1) == LUA_TUSERDATA && lua_getmetatable(L, 1)) {
    bool same = lua_rawequal(L, -1, lua_upvalueindex(METATABLE));
    lua_pop(L, 1);
    if (same) return lua_touserdata(L, 1);
  }
  return luaL_checkudata(L, 1, type->name);
}

void *qhub_userdata_check(lua_State *L, const qhub_userdata_type *type) {
  void *memory = check_memory(L, type);
  return type->size > 0 ? memory : *(void **)memory;
}

static bool is_open(const qhub_userdata_type *type, void *object) {
  return object != NULL && (type->is_open == NULL || type->is_open(object));
}

void *qhub_userdata_check_open(lua_State *L, const qhub_userdata_type *type) {
  void *object = qhub_userdata_check(L, type);
  if (!is_open(type, object)) luaL_error(L, "attempt to use a closed %s", type->label);
  return object;
}

static const qhub_userdata_type *get_type(lua_State *L) {
  const qhub_userdata_type *const *type = lua_touserdata(L, lua_upvalueindex(TYPE));
  return *type;
}

/* __gc  [+0] */
static int collect(lua_State *L) {
  const qhub_userdata_type *type = get_type(L);
  if (type->size > 0) return qhub_userdata_close(L);
  void **place = check_memory(L, type);
  if (*place != NULL) type->free(*place);
  *place = NULL;
  return 0;
}

int qhub_userdata_close(lua_State *L) {
  const qhub_userdata_type *type = get_type(L);
  void *object = qhub_userdata_check(L, type);
  if (object != NULL) type->close(object);
  return 0;
}

/* __tostring  [+1] */
static int describe(lua_State *L) {
  const qhub_userdata_type *type = get_type(L);
  const char *state = is_open(type, qhub_userdata_check(L, type)) ? "" : " (closed)";
  lua_pushfstring(L, "%s%s", type->name, state);
  return 1;
}

static const luaL_Reg defaults[] = {
  {"__gc", collect},
  {"__close", qhub_userdata_close},
  {"__tostring", describe},
  {NULL, NULL},
};

/* Adds `functions` (or NULL) to the table on top. The upvalues are at `metatable` and above it.
** [-0, +0] */
static void set_functions(lua_State *L, int metatable, const luaL_Reg *functions) {
  if (functions == NULL) return;
  lua_pushvalue(L, metatable);
  lua_pushvalue(L, metatable + 1);
  luaL_setfuncs(L, functions, 2);
}

void qhub_userdata_register(lua_State *L, const qhub_userdata_type *type, const luaL_Reg *methods,
                            const luaL_Reg *metamethods) {
  (void)luaL_newmetatable(L, type->name); /* or that of an earlier load, which is filled again */
  int metatable = lua_gettop(L);
  const qhub_userdata_type **slot = lua_newuserdatauv(L, sizeof *slot, 0);
  *slot = type;
  lua_pushvalue(L, metatable);
  set_functions(L, metatable, defaults);
  set_functions(L, metatable, metamethods);
  lua_newtable(L);
  set_functions(L, metatable, methods);
  lua_setfield(L, metatable, "__index");
  lua_settop(L, metatable - 1);
}
