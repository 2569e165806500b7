/* Refusals of the encoder: see json_refuse.h. */
#include "json_refuse.h"

#include "../text/ascii.h"
#include "../text/printable.h"

#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

/* Paths of more steps show so many of them at each end. */
enum { STEPS_AT_START = 8, STEPS_AT_END = 4 };

static bool is_identifier(const char *name, size_t length) {
  for (size_t i = 0; i < length; i++) {
    char byte = name[i];
    bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
    if (!letter && (i == 0 || !qhub_is_digit(byte))) return false;
  }
  return length > 0 && length < QHUB_PRINTABLE_SIZE;
}

/* Appends one step; `first` when nothing stands before it. A buffer of lauxlib may keep a value on
** the stack, so nothing else is left there. */
static void add_step(luaL_Buffer *path, const qhub_json_step *step, bool first) {
  lua_State *L = path->L;
  size_t length = 0;
  const char *name = step->name != 0 ? lua_tolstring(L, step->name, &length) : NULL;
  if (name != NULL && is_identifier(name, length)) {
    if (!first) luaL_addchar(path, '.');
    luaL_addlstring(path, name, length);
    return;
  }
  if (first) luaL_addstring(path, "value");
  if (name != NULL) {
    char shown[QHUB_PRINTABLE_SIZE];
    qhub_printable(name, length, shown);
    luaL_addstring(path, "[\"");
    luaL_addstring(path, shown);
    luaL_addstring(path, "\"]");
  } else if (step->item != 0) {
    lua_pushfstring(L, "[%I]", (LUAI_UACINT)step->item);
    luaL_addvalue(path);
  }
}

static void push_path(lua_State *L, const qhub_json_step *step) {
  luaL_Buffer path;
  int depth = step != NULL ? step->depth : 0;
  luaL_buffinit(L, &path);
  if (depth == 0) luaL_addstring(&path, "value");
  for (int at = 1; at <= depth; at++) {
    if (at > STEPS_AT_START && at <= depth - STEPS_AT_END) {
      luaL_addstring(&path, " ... ");
      at = depth - STEPS_AT_END;
      continue;
    }
    const qhub_json_step *shown = step;
    while (shown->depth != at) shown = shown->outer;
    add_step(&path, shown, at == 1);
  }
  luaL_pushresult(&path);
}

int qhub_json_raise_at(lua_State *L, const qhub_json_step *step) {
  luaL_checkstack(L, 8, "not enough memory");
  push_path(L, step);
  lua_pushliteral(L, ": ");
  lua_rotate(L, -3, -1); /* path, ": ", reason */
  lua_concat(L, 3);
  return lua_error(L);
}

/* Pushes how a key is shown in a message: "name" in quotes, or the number as it is.  [-0, +1] */
static void push_shown_key(lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TSTRING) {
    char shown[QHUB_PRINTABLE_SIZE];
    size_t length;
    const char *name = lua_tolstring(L, index, &length);
    qhub_printable(name, length, shown);
    lua_pushfstring(L, "\"%s\"", shown);
  } else if (lua_isinteger(L, index)) {
    lua_pushfstring(L, "%I", (LUAI_UACINT)lua_tointeger(L, index));
  } else if (lua_type(L, index) == LUA_TNUMBER) {
    lua_pushfstring(L, "%f", (LUAI_UACNUMBER)lua_tonumber(L, index));
  } else {
    lua_pushfstring(L, "(a %s)", luaL_typename(L, index));
  }
}

int qhub_json_refuse_key(lua_State *L, const qhub_json_step *step, qhub_json_mark kind) {
  int key = lua_gettop(L);
  bool is_name = lua_type(L, key) == LUA_TSTRING;
  bool is_index = lua_isinteger(L, key);
  push_shown_key(L, key);
  const char *shown = lua_tostring(L, -1);
  if (kind == QHUB_JSON_ARRAY && (is_name || is_index)) {
    lua_pushfstring(L,
                    "the table is marked as an array but has the key %s; an array has the keys "
                    "1 to n only",
                    shown);
  } else if (kind == QHUB_JSON_OBJECT && is_index) {
    lua_pushfstring(L,
                    "the table is marked as an object but has the key %s, which is not a "
                    "string; use tostring(key), or mark it as an array",
                    shown);
  } else if (is_name || is_index) {
    lua_pushfstring(L,
                    "the table has array items and named members (key %s) at once; JSON has "
                    "arrays and objects only, so put one of the two into its own table",
                    shown);
  } else {
    lua_pushfstring(L,
                    "the key %s is not a string; names in JSON are strings; use "
                    "tostring(key) or leave it out",
                    shown);
  }
  return qhub_json_raise_at(L, step);
}

int qhub_json_refuse_array(lua_State *L, const qhub_json_step *step, int index,
                           qhub_json_mark kind) {
  lua_Integer highest = 0;
  for (lua_pushnil(L); lua_next(L, index);) {
    lua_pop(L, 1);
    if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1) {
      return qhub_json_refuse_key(L, step->outer, kind);
    }
    if (lua_tointeger(L, -1) > highest) highest = lua_tointeger(L, -1);
  }
  lua_Integer hole = 1;
  for (; lua_rawgeti(L, index, hole) != LUA_TNIL; lua_pop(L, 1)) hole++;
  lua_pushfstring(L,
                  "the array has a hole: item %I is missing, but there is an item %I; fill "
                  "holes with qhub.json.null, or make the keys strings for an object",
                  (LUAI_UACINT)hole, (LUAI_UACINT)highest);
  return qhub_json_raise_at(L, step->outer);
}

int qhub_json_refuse_type(lua_State *L, const qhub_json_step *step, int index) {
  const char *name = luaL_typename(L, index);
  if (lua_isnil(L, index)) {
    lua_pushliteral(L, "nil cannot be written as JSON; use qhub.json.null for a null");
  } else if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) {
    lua_pushfstring(L, "a %s (%s) cannot be written as JSON; write what it stands for", name,
                    lua_tostring(L, -1));
  } else {
    lua_pushfstring(L, "a %s cannot be written as JSON; remove it or write what it stands for",
                    name);
  }
  return qhub_json_raise_at(L, step);
}

int qhub_json_refuse_number(lua_State *L, const qhub_json_step *step, double value) {
  lua_pushfstring(L,
                  "%s cannot be written as JSON, which has finite numbers only; use "
                  "qhub.json.null or a string",
                  isnan(value) ? "NaN"
                  : value > 0  ? "infinity"
                               : "-infinity");
  return qhub_json_raise_at(L, step);
}

int qhub_json_refuse_cycle(lua_State *L, const qhub_json_step *step, const qhub_json_step *same) {
  push_path(L, same->outer);
  lua_pushfstring(L,
                  "the table contains itself (it is %s as well); JSON has no references, so "
                  "remove it or write a copy without it",
                  lua_tostring(L, -1));
  return qhub_json_raise_at(L, step);
}
