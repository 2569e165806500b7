/*
** What both JSON fuzz targets need: a Lua state with core.json, calls that may fail in the expected
** ways only, and an equality that sees every bit.
*/
#ifndef JSON_FUZZ_H
#define JSON_FUZZ_H

#include "bind/module.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JSON = 1 }; /* stack index of core.json, for as long as the state lives */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process: libFuzzer keeps the input. */
static inline void fail(const char *why, const char *detail) {
  (void)fprintf(stderr, "%s: %s\n", why, detail != NULL ? detail : "");
  abort();
}

/* The state is made once; all that an input leaves in it is collected now and then. */
static inline lua_State *fresh_state(void) {
  static lua_State *L;
  static unsigned inputs;
  if (L == NULL) {
    L = luaL_newstate();
    if (L == NULL) fail("no Lua state", NULL);
    lua_pushcfunction(L, qhub_open_json);
    lua_call(L, 0, 1);
  }
  lua_settop(L, JSON);
  if (++inputs % 1024 == 0) lua_gc(L, LUA_GCCOLLECT);
  return L;
}

/* decode(text): pushes the value and returns true, or the message and returns false. */
static inline bool decode(lua_State *L, const char *text, size_t length) {
  int top = lua_gettop(L);
  lua_getfield(L, JSON, "decode");
  lua_pushlstring(L, text, length);
  if (lua_pcall(L, 1, LUA_MULTRET, 0) != LUA_OK) fail("decode", lua_tostring(L, -1));
  if (lua_gettop(L) == top + 1) return true;
  if (lua_gettop(L) != top + 4 || !lua_isnil(L, top + 1) || lua_type(L, top + 2) != LUA_TSTRING ||
      lua_tointeger(L, top + 3) < 1 || lua_tointeger(L, top + 4) < 1) {
    fail("decode", "returned neither a value nor a failure");
  }
  lua_settop(L, top + 2);
  lua_replace(L, top + 1);
  return false;
}

/* encode(the value at `index`): pushes text or message; returns whether it was encoded. */
static inline bool encode(lua_State *L, int index) {
  lua_pushvalue(L, index);
  lua_getfield(L, JSON, "encode");
  lua_rotate(L, -2, 1);
  bool encoded = lua_pcall(L, 1, 1, 0) == LUA_OK;
  if (lua_type(L, -1) != LUA_TSTRING) fail("encode", "neither text nor message");
  return encoded;
}

static inline bool is_array(lua_State *L, int index) {
  lua_getfield(L, JSON, "is_array");
  lua_pushvalue(L, index);
  lua_call(L, 1, 1);
  bool marked = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return marked || lua_rawlen(L, index) > 0;
}

/* Whether two values are the same to the last bit; tables by what they hold. Absolute indices. */
static inline bool same(lua_State *L, int a, int b) {
  if (lua_type(L, a) != lua_type(L, b)) return false;
  if (lua_type(L, a) == LUA_TNUMBER && !lua_isinteger(L, a) && !lua_isinteger(L, b)) {
    lua_Number x = lua_tonumber(L, a), y = lua_tonumber(L, b);
    return memcmp(&x, &y, sizeof x) == 0;
  }
  if (lua_type(L, a) == LUA_TNUMBER && lua_isinteger(L, a) != lua_isinteger(L, b)) return false;
  if (lua_type(L, a) != LUA_TTABLE) return lua_rawequal(L, a, b);
  if (is_array(L, a) != is_array(L, b)) return false;
  luaL_checkstack(L, 10, NULL);
  int members = 0;
  for (lua_pushnil(L); lua_next(L, a); members++) {
    int value = lua_gettop(L);
    lua_pushvalue(L, value - 1);
    lua_rawget(L, b);
    if (!same(L, value, value + 1)) return false;
    lua_settop(L, value - 1);
  }
  for (lua_pushnil(L); lua_next(L, b); lua_pop(L, 1)) members--;
  return members == 0;
}

#endif
