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
#include <stdbool.h>

/* Whether the table at `index` has the metatable in upvalue `mark`.  [-0, +0] */
static int has_mark(lua_State *L, int index, int mark) {
  if (!lua_getmetatable(L, index)) return 0;
  int same = lua_rawequal(L, -1, lua_upvalueindex(mark));
  lua_pop(L, 1);
  return same;
}

/* Gives a mark to the table that is argument 1, which has no metatable or one of the two marks.
** [-0, +1] */
static int mark_table(lua_State *L, int mark) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  bool marked = has_mark(L, 1, QHUB_JSON_ARRAY_MARK) || has_mark(L, 1, QHUB_JSON_OBJECT_MARK);
  if (!marked && lua_getmetatable(L, 1)) {
    return luaL_argerror(L, 1,
                         "the table has a metatable already, which the mark would replace; "
                         "mark a plain copy of it");
  }
  lua_pushvalue(L, lua_upvalueindex(mark));
  lua_setmetatable(L, 1);
  return 1;
}

/* array(t) -> t */
static int mark_array(lua_State *L) {
  return mark_table(L, QHUB_JSON_ARRAY_MARK);
}

/* object(t) -> t */
static int mark_object(lua_State *L) {
  return mark_table(L, QHUB_JSON_OBJECT_MARK);
}

/* is_array(x) -> whether x is a table with the array mark */
static int is_array(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, lua_istable(L, 1) && has_mark(L, 1, QHUB_JSON_ARRAY_MARK));
  return 1;
}

/* A metatable with nothing but a name, for tostring and error messages.  [-0, +1] */
static void push_mark(lua_State *L, const char *name) {
  lua_createtable(L, 0, 1);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
}

static const luaL_Reg functions[] = {
  {"array", mark_array},
  {"object", mark_object},
  {"is_array", is_array},
  {"encode", qhub_json_encode},
  {"decode", qhub_json_decode},
  {"members", qhub_json_members},
  {"document", qhub_json_document},
  {NULL, NULL},
};

int qhub_open_json(lua_State *L) {
  luaL_newlibtable(L, functions);
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  push_mark(L, "qhub.json.array");
  push_mark(L, "qhub.json.object");
  luaL_setfuncs(L, functions, QHUB_JSON_UPVALUES);
  return 1;
}
