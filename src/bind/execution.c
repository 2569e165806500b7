/*
** `core.execution`: the userdata "qhub.Execution", a read-only view of a decoded answer.
**
** Holds the answer (a table) and its owner (the client) as user values, so that the collector sees
** both. The methods are Lua's: they are looked up before the fields, and so no field that a server
** invents can hide one. Fields answer in snake_case to members in camelCase or snake_case. Knows
** nothing of requests, and believes nothing about the answer but that it is a table.
*/
#include "execution.h"
#include "module.h"

#include "../text/printable.h"

#include <lauxlib.h>
#include <string.h>

static const char TYPE_NAME[] = "qhub.Execution";

enum { RAW = 1, OWNER = 2, USER_VALUES = 2 };   /* user values */
enum { METHODS = 1, MEMBERS = 2 };              /* upvalues of the metamethods */

typedef struct {
  const char *name;   /* the field */
  const char *member; /* the answer's member, when the gateway writes camelCase */
} field;

/* In the order of `pairs`. */
static const field fields[] = {
  {"id", "id"},
  {"created_at", "createdAt"},
  {"started_at", "startedAt"},
  {"ended_at", "endedAt"},
  {"status", "status"},
  {"type", "type"},
  {"service_id", "serviceId"},
  {"service_definition_id", "serviceDefinitionId"},
  {"application_id", "applicationId"},
  {"tags", "tags"},
};

enum { FIELD_COUNT = sizeof fields / sizeof fields[0] };

static bool is_execution(lua_State *L, int index) {
  return luaL_testudata(L, index, TYPE_NAME) != NULL;
}

static void check_execution(lua_State *L, int index) {
  (void)luaL_checkudata(L, index, TYPE_NAME);
}

bool qhub_execution_push_raw(lua_State *L, int index) {
  if (!is_execution(L, index)) return false;
  lua_getiuservalue(L, index, RAW);
  return true;
}

/* The value on top is what a field may show: JSON's null counts as absent.  [-0, +0] */
static bool is_present(lua_State *L) {
  if (lua_type(L, -1) == LUA_TLIGHTUSERDATA) return lua_touserdata(L, -1) != NULL;
  return !lua_isnil(L, -1);
}

/* Replaces raw[member] on top by what the field `id` shows: a string if it can be one. An empty id
** names nothing.  [-1, +1] */
static void normalise_id(lua_State *L) {
  size_t length;
  const char *id = lua_tolstring(L, -1, &length); /* a number becomes its text */
  if (id != NULL && length > 0) return;
  lua_pop(L, 1);
  lua_pushnil(L);
}

/* Replaces raw, member and field name (top) by the field's value or nil.  [-3, +1] */
static void resolve_field(lua_State *L, bool is_id) {
  lua_pushvalue(L, -2);
  lua_rawget(L, -4);
  if (!is_present(L)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawget(L, -4);
    if (!is_present(L)) {
      lua_pop(L, 1);
      lua_pushnil(L);
    }
  }
  if (is_id) normalise_id(L);
  lua_replace(L, -4);
  lua_pop(L, 2);
}

/* The value of a field of the execution at `index`, by its place in the list.  [-0, +1] */
static void push_field(lua_State *L, int index, int place) {
  lua_getiuservalue(L, index, RAW);
  lua_pushstring(L, fields[place].member);
  lua_pushstring(L, fields[place].name);
  resolve_field(L, place == 0);
}

/* The id as a string, or nil.  [-0, +1] */
static const char *push_id(lua_State *L, int index, size_t *length) {
  push_field(L, index, 0);
  return lua_tolstring(L, -1, length);
}

/* execution[key]: a method, a field, `raw`, or nil. Upvalue MEMBERS maps each field to the answer's
** member, so that one look-up by an interned string does what comparing texts would.  [+1] */
static int get_index(lua_State *L) {
  check_execution(L, 1);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(METHODS)) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  lua_getiuservalue(L, 1, RAW);
  lua_pushvalue(L, 2);
  switch (lua_rawget(L, lua_upvalueindex(MEMBERS))) {
    case LUA_TSTRING: {
      const char *name = lua_tostring(L, 2);
      lua_pushvalue(L, 2);
      resolve_field(L, strcmp(name, fields[0].name) == 0);
      return 1;
    }
    case LUA_TBOOLEAN: /* `raw` itself */
      lua_pop(L, 1);
      return 1;
    default:
      lua_pushnil(L);
      return 1;
  }
}

/* [raises] */
static int refuse_newindex(lua_State *L) {
  return luaL_error(L, "%s is read-only", TYPE_NAME);
}

/* "qhub.Execution ID STATUS", fit for a terminal whatever the server sent.  [+1] */
static int to_string(lua_State *L) {
  char id[QHUB_PRINTABLE_SIZE] = "(no id)";
  char status[QHUB_PRINTABLE_SIZE] = "";
  size_t length;
  check_execution(L, 1);
  const char *text = push_id(L, 1, &length);
  if (text != NULL) qhub_printable(text, length, id);
  push_field(L, 1, 4);
  if (lua_type(L, -1) == LUA_TSTRING) {
    text = lua_tolstring(L, -1, &length);
    qhub_printable(text, length, status);
  }
  lua_pushfstring(L, status[0] != '\0' ? "%s %s %s" : "%s %s", TYPE_NAME, id, status);
  return 1;
}

/* Same id; executions without one equal only themselves.  [+1] */
static int equals(lua_State *L) {
  bool equal = false;
  if (is_execution(L, 1) && is_execution(L, 2)) {
    size_t length;
    bool both = push_id(L, 1, &length) != NULL && push_id(L, 2, &length) != NULL;
    equal = both && lua_rawequal(L, -1, -2);
  }
  lua_pushboolean(L, equal);
  return 1;
}

/* next(execution, name) -> the present field after it, or nil at the end  [+1 or +2] */
static int next_field(lua_State *L) {
  check_execution(L, 1);
  int place = 0;
  if (!lua_isnoneornil(L, 2)) {
    const char *name = luaL_checkstring(L, 2);
    while (place < FIELD_COUNT && strcmp(fields[place].name, name) != 0) place++;
    place++;
  }
  for (; place < FIELD_COUNT; place++) {
    push_field(L, 1, place);
    if (!lua_isnil(L, -1)) {
      lua_pushstring(L, fields[place].name);
      lua_insert(L, -2);
      return 2;
    }
    lua_pop(L, 1);
  }
  lua_pushnil(L);
  return 1;
}

/* pairs(execution) -> next, execution, nil  [+3] */
static int get_pairs(lua_State *L) {
  check_execution(L, 1);
  lua_pushcfunction(L, next_field);
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  return 3;
}

/* new(raw, owner) -> execution  [+1] */
static int new_execution(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  (void)lua_newuserdatauv(L, 0, USER_VALUES);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, RAW);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, OWNER);
  luaL_setmetatable(L, TYPE_NAME);
  return 1;
}

/* update(execution, raw) -> execution, which now shows the new answer  [+1] */
static int update(lua_State *L) {
  check_execution(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, RAW);
  return 1;
}

/* owner(execution) -> what `new` was given  [+1] */
static int get_owner(lua_State *L) {
  check_execution(L, 1);
  lua_getiuservalue(L, 1, OWNER);
  return 1;
}

/* is(value) -> boolean  [+1] */
static int is(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, is_execution(L, 1));
  return 1;
}

static const luaL_Reg functions[] = {
  {"new", new_execution},
  {"update", update},
  {"owner", get_owner},
  {"is", is},
  {"methods", NULL}, /* a table, set below */
  {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
  {"__index", NULL}, /* has upvalues, set below */
  {"__newindex", refuse_newindex},
  {"__tostring", to_string},
  {"__eq", equals},
  {"__pairs", get_pairs},
  {NULL, NULL},
};

/* The table of upvalue MEMBERS: field -> member, and raw -> true.  [+1] */
static void push_members(lua_State *L) {
  lua_createtable(L, 0, FIELD_COUNT + 1);
  for (int i = 0; i < FIELD_COUNT; i++) {
    lua_pushstring(L, fields[i].member);
    lua_setfield(L, -2, fields[i].name);
  }
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "raw");
}

int qhub_open_execution(lua_State *L) {
  luaL_newlib(L, functions);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "methods");
  (void)luaL_newmetatable(L, TYPE_NAME); /* or the one of an earlier load, which is filled anew */
  luaL_setfuncs(L, metamethods, 0);
  lua_pushvalue(L, -2);
  push_members(L);
  lua_pushcclosure(L, get_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 2);
  return 1;
}
