/* Refusals of the encoder: see json_refuse.h. */
#include "json_refuse.h"

#include "../text/characters.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdbool.h>

/* Paths of more steps show so many of them at each end. */
enum { STEPS_AT_START = 8, STEPS_AT_END = 4 };

static bool is_identifier(const char *name, size_t length) {
  for (size_t i = 0; i < length; i++) {
    bool is_letter = qhub_is_alpha(name[i]) || name[i] == '_';
    if (!is_letter && (i == 0 || !qhub_is_digit(name[i]))) return false;
  }
  return length > 0 && length < QHUB_PRINTABLE_SIZE;
}

/* The item that `step` stands at, as it continues a path.  [-0, +1] */
static void push_item(lua_State *L, const qhub_json_step *step) {
  char shown[QHUB_PRINTABLE_SIZE];
  bool is_first = step->outer == NULL;
  const char *root = is_first ? "value" : "";
  if (step->name == NULL) {
    lua_pushfstring(L, "%s[%I]", root, (LUAI_UACINT)step->item);
  } else if (is_identifier(step->name, step->name_length)) {
    lua_pushfstring(L, "%s%s", is_first ? "" : ".", step->name);
  } else {
    qhub_printable(step->name, step->name_length, shown);
    lua_pushfstring(L, "%s[\"%s\"]", root, shown);
  }
}

/* [-0, +1] */
static const char *push_path(lua_State *L, const qhub_json_step *step) {
  int depth = step != NULL ? step->depth : 0;
  lua_pushstring(L, step != NULL ? "" : "value");
  for (; step != NULL; step = step->outer) {
    bool is_shown = step->depth <= STEPS_AT_START || step->depth > depth - STEPS_AT_END;
    if (is_shown) {
      push_item(L, step);
    } else if (step->depth == STEPS_AT_START + 1) {
      lua_pushliteral(L, " ... ");
    } else {
      continue;
    }
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_tostring(L, -1);
}

int qhub_json_refuse(lua_State *L, const qhub_json_step *step, const char *reason, ...) {
  va_list arguments;
  luaL_checkstack(L, 8, "not enough memory");
  va_start(arguments, reason);
  lua_pushvfstring(L, reason, arguments);
  va_end(arguments);
  (void)push_path(L, step);
  lua_pushliteral(L, ": ");
  lua_rotate(L, -3, 2); /* path, ": ", reason */
  lua_concat(L, 3);
  return lua_error(L);
}

/* Pushes how a key is shown in a message: "name" in quotes, or the number as it is.  [-0, +1] */
static const char *push_shown_key(lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TSTRING) {
    char shown[QHUB_PRINTABLE_SIZE];
    size_t length;
    const char *name = lua_tolstring(L, index, &length);
    qhub_printable(name, length, shown);
    return lua_pushfstring(L, "\"%s\"", shown);
  }
  if (lua_type(L, index) != LUA_TNUMBER) {
    return lua_pushfstring(L, "(a %s)", luaL_typename(L, index));
  }
  lua_pushvalue(L, index);
  return lua_tostring(L, -1);
}

int qhub_json_refuse_key(lua_State *L, const qhub_json_step *step, qhub_json_mark kind) {
  bool is_name = lua_type(L, -1) == LUA_TSTRING;
  bool is_index = lua_isinteger(L, -1);
  const char *reason =
    "the key %s is not a string; names in JSON are strings; use tostring(key) or "
    "leave it out";
  if (kind == QHUB_JSON_ARRAY && (is_name || is_index)) {
    reason = "the table is marked as an array but has the key %s; an array has the keys 1 to n "
             "only";
  } else if (kind == QHUB_JSON_OBJECT && is_index) {
    reason = "the table is marked as an object but has the key %s, which is not a string; use "
             "tostring(key), or mark it as an array";
  } else if (is_name || is_index) {
    reason = "the table has array items and named members (key %s) at once; JSON has arrays and "
             "objects only, so put one of the two into its own table";
  }
  return qhub_json_refuse(L, step->outer, reason, push_shown_key(L, lua_gettop(L)));
}

int qhub_json_refuse_array(lua_State *L, const qhub_json_step *step, int index,
                           qhub_json_mark kind) {
  lua_Integer hole = 1, beyond = 0;
  for (; lua_rawgeti(L, index, hole) != LUA_TNIL; lua_pop(L, 1)) hole++;
  while (lua_next(L, index)) { /* from the nil on */
    lua_pop(L, 1);
    lua_Integer key = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
    if (key < 1) return qhub_json_refuse_key(L, step, kind);
    if (key > hole) beyond = key;
  }
  return qhub_json_refuse(L, step->outer,
                          "the array has a hole: item %I is missing, but there is an item %I; fill "
                          "holes with qhub.json.null, or make the keys strings for an object",
                          (LUAI_UACINT)hole, (LUAI_UACINT)beyond);
}

int qhub_json_refuse_type(lua_State *L, const qhub_json_step *step, int index) {
  const char *name = luaL_typename(L, index);
  if (lua_isnil(L, index)) {
    return qhub_json_refuse(L, step,
                            "nil cannot be written as JSON; use qhub.json.null for a null");
  }
  if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) {
    name = lua_pushfstring(L, "%s (%s)", name, lua_tostring(L, -1));
  }
  return qhub_json_refuse(
    L, step, "a %s cannot be written as JSON; remove it or write what it stands for", name);
}

int qhub_json_refuse_cycle(lua_State *L, const qhub_json_step *step, const qhub_json_step *same) {
  return qhub_json_refuse(L, step,
                          "the table contains itself (it is %s as well); JSON has no references, "
                          "so remove it or write a copy without it",
                          push_path(L, same->outer));
}
