/*
** core.json: puts encode, decode, members, document and the marks together.
**
** A mark is a metatable that says whether a table is written as [...] or as {...}; an empty table
** without one is {}. Decides nothing about texts: see json_encode.c, json_decode.c and
** json_document.c.
*/
#include "json.h"

#include "module.h"

#include <lauxlib.h>

/* Upvalues of `array`, `object` and `is_array`. */
enum { MARK = 1, OTHER_MARK };

/* Whether the table at `index` has the metatable in upvalue `mark`.  [-0, +0] */
static int has_mark(lua_State *L, int index, int mark) {
  if (!lua_getmetatable(L, index)) return 0;
  int same = lua_rawequal(L, -1, lua_upvalueindex(mark));
  lua_pop(L, 1);
  return same;
}

/* mark(t) -> t: gives the metatable MARK to a table that has none, or one of the two marks. */
static int mark_table(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  if (lua_getmetatable(L, 1)) {
    lua_pop(L, 1);
    if (!has_mark(L, 1, MARK) && !has_mark(L, 1, OTHER_MARK)) {
      return luaL_argerror(L, 1,
                           "the table has a metatable already, which the mark would replace; "
                           "mark a plain copy of it");
    }
  }
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(MARK));
  lua_setmetatable(L, 1);
  return 1;
}

/* is_array(x) -> whether x is a table with the array mark */
static int is_array(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, lua_istable(L, 1) && has_mark(L, 1, MARK));
  return 1;
}

/* A metatable with nothing but a name, for tostring and error messages.  [-0, +1] */
static void push_mark(lua_State *L, const char *name) {
  lua_createtable(L, 0, 1);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
}

/* Sets field `name` of the table on top to a function with the values at two stack indices as its
** upvalues.  [-0, +0] */
static void set_marker(lua_State *L, const char *name, lua_CFunction function, int mark,
                       int other) {
  lua_pushvalue(L, mark);
  lua_pushvalue(L, other);
  lua_pushcclosure(L, function, 2);
  lua_setfield(L, -2, name);
}

/* Likewise for a converter, whose box metatable or nil is on top.  [-1, +0] */
static void set_converter(lua_State *L, const char *name, lua_CFunction function, int array_mark,
                          int object_mark) {
  lua_pushvalue(L, array_mark);
  lua_pushvalue(L, object_mark);
  lua_rotate(L, -3, -1);
  lua_pushcclosure(L, function, QHUB_JSON_UPVALUES);
  lua_setfield(L, -2, name);
}

int qhub_open_json(lua_State *L) {
  push_mark(L, "qhub.json.array");
  int array_mark = lua_gettop(L);
  push_mark(L, "qhub.json.object");
  int object_mark = lua_gettop(L);
  lua_createtable(L, 0, 8);
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  set_marker(L, "array", mark_table, array_mark, object_mark);
  set_marker(L, "object", mark_table, object_mark, array_mark);
  set_marker(L, "is_array", is_array, array_mark, object_mark);
  qhub_json_push_encode_box(L);
  set_converter(L, "encode", qhub_json_encode, array_mark, object_mark);
  lua_pushnil(L);
  set_converter(L, "decode", qhub_json_decode, array_mark, object_mark);
  lua_pushcfunction(L, qhub_json_members);
  lua_setfield(L, -2, "members");
  qhub_json_push_document_box(L);
  set_converter(L, "document", qhub_json_document, array_mark, object_mark);
  lua_replace(L, array_mark);
  lua_settop(L, array_mark);
  return 1;
}
