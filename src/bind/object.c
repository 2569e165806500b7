/*
** `core.object`: full userdata whose class is written in Lua.
**
** A userdata, unlike a table, cannot be taken apart or forged with `rawset` and `setmetatable`, and
** its state is out of the user's reach. All of its behaviour is in the metatable that Lua gives;
** this file only ties the two together and checks that a method is called on the right thing. One
** metamethod is read in C: `__encoded(object)` returns the value that JSON shows for the object.
**
** Not made by userdata.h, whose types are written in C: these hold nothing that must be closed.
*/
#include "module.h"

#include <lauxlib.h>
#include <stdbool.h>

enum { STATE = 1 }; /* user value */

/* new(metatable, state) -> object. A `__gc` must be in the metatable already.  [+1] */
static int new_object(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  (void)lua_newuserdatauv(L, 0, 1);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, STATE);
  lua_pushvalue(L, 1);
  lua_setmetatable(L, -2);
  return 1;
}

/* The name a message gives to the value's type.  [+1] */
static const char *push_type_name(lua_State *L, int index) {
  if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) return lua_tostring(L, -1);
  return lua_pushstring(L, luaL_typename(L, index));
}

/* Raises for the Lua method that called, at the line that called the method: the mistake is there.
** Does not return. */
static int raise_wrong_type(lua_State *L) {
  lua_Debug method;
  bool named = lua_getfield(L, 2, "__name") == LUA_TSTRING;
  const char *expected = named ? lua_tostring(L, -1) : "object";
  const char *got = lua_isnone(L, 1) ? "no value" : push_type_name(L, 1);
  luaL_where(L, 2);
  bool known = lua_getstack(L, 1, &method) != 0 && lua_getinfo(L, "n", &method) != 0;
  if (!known || method.name == NULL) method.name = "?";
  lua_pushfstring(L, "bad argument #1 to '%s' (%s expected, got %s)", method.name, expected, got);
  lua_concat(L, 2);
  return lua_error(L);
}

/* state(object, metatable) -> its state table; raises when `object` has another metatable.  [+1] */
static int get_state(lua_State *L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  bool same = lua_type(L, 1) == LUA_TUSERDATA && lua_getmetatable(L, 1) && lua_rawequal(L, -1, 2);
  if (!same) return raise_wrong_type(L);
  lua_getiuservalue(L, 1, STATE);
  return 1;
}

/* Upvalues of `__index`. */
enum { METATABLE = 1, METHODS, FIELDS, FALLBACK };

/* __index(object, name): a method; else a field that the state has; else what `fallback` returns.
** [+1] */
static int index_object(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(METHODS)) != LUA_TNIL) return 1;
  lua_pushvalue(L, 2);
  bool is_field = lua_rawget(L, lua_upvalueindex(FIELDS)) != LUA_TNIL;
  if (is_field && lua_type(L, 1) == LUA_TUSERDATA && lua_getmetatable(L, 1) &&
      lua_rawequal(L, -1, lua_upvalueindex(METATABLE))) {
    lua_getiuservalue(L, 1, STATE);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL) return 1;
  }
  lua_settop(L, 2);
  lua_pushvalue(L, lua_upvalueindex(FALLBACK));
  lua_insert(L, 1);
  lua_call(L, 2, 1);
  return 1;
}

/* index(metatable, methods, fields, fallback) -> the `__index` of a class, the function called
** most. `fields` has the names of the members of a state that are fields as they are; the function
** `fallback(object, name)` is called for all else.  [+1] */
static int new_index(lua_State *L) {
  for (int i = METATABLE; i <= FIELDS; i++) luaL_checktype(L, i, LUA_TTABLE);
  luaL_checktype(L, FALLBACK, LUA_TFUNCTION);
  lua_settop(L, FALLBACK);
  lua_pushcclosure(L, index_object, FALLBACK);
  return 1;
}

static const luaL_Reg functions[] = {
  {"index", new_index},
  {"new", new_object},
  {"state", get_state},
  {NULL, NULL},
};

int qhub_open_object(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
