/* Paths in error messages of the encoder: see json_path.h. */
#include "json_path.h"

#include "../text/printable.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stddef.h>

/* Paths of more steps show so many of them at each end. */
enum { STEPS_AT_START = 8, STEPS_AT_END = 4 };

static bool is_identifier(const char *name, size_t length) {
  for (size_t i = 0; i < length; i++) {
    char byte = name[i];
    bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
    if (!letter && (i == 0 || byte < '0' || byte > '9')) return false;
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

void qhub_json_push_path(lua_State *L, const qhub_json_step *step) {
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
  qhub_json_push_path(L, step);
  lua_pushliteral(L, ": ");
  lua_rotate(L, -3, -1); /* path, ": ", reason */
  lua_concat(L, 3);
  return lua_error(L);
}
