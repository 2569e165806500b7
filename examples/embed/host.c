/*
** One executable that has everything inside: Lua, qhub's C module, qhub's Lua files.
**
**   make -C examples/embed && QHUB_BASE_URL=... QHUB_TOKEN=... build/embed/host program.lua
**
** The C module is linked in and announced in `package.preload`, and so are the Lua files, which
** bundle.lua has made into C (bundle.h). The program gets the libraries that a sandbox would give
** it: neither `io` nor `os` nor `debug`. What it needs to know comes from here, as arguments.
*/
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

#include "bundle.h"

int luaopen_qhub_core(lua_State *L);

static const luaL_Reg libraries[] = {
  {LUA_GNAME, luaopen_base},         {LUA_LOADLIBNAME, luaopen_package},
  {LUA_COLIBNAME, luaopen_coroutine}, {LUA_TABLIBNAME, luaopen_table},
  {LUA_STRLIBNAME, luaopen_string},  {LUA_MATHLIBNAME, luaopen_math},
  {LUA_UTF8LIBNAME, luaopen_utf8},   {NULL, NULL},
};

static void announce_qhub(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_qhub_core);
  lua_setfield(L, -2, "qhub.core");
  for (const bundled_module *module = bundle; module->name != NULL; module++) {
    const char *text = (const char *)module->text;
    if (luaL_loadbuffer(L, text, module->size, module->chunk_name) != LUA_OK) lua_error(L);
    lua_setfield(L, -2, module->name);
  }
  lua_pop(L, 1);
}

/* run(path): everything that may raise, below one lua_pcall. */
static int run(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  for (const luaL_Reg *library = libraries; library->func != NULL; library++) {
    luaL_requiref(L, library->name, library->func, 1);
    lua_pop(L, 1);
  }
  announce_qhub(L);
  if (luaL_loadfile(L, path) != LUA_OK) return lua_error(L);
  lua_pushstring(L, getenv("QHUB_BASE_URL"));
  lua_pushstring(L, getenv("QHUB_TOKEN"));
  lua_call(L, 2, 0);
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s PROGRAM.lua\n", argv[0]);
    return 2;
  }
  lua_State *L = luaL_newstate();
  if (L == NULL) return 1;
  lua_pushcfunction(L, run);
  lua_pushstring(L, argv[1]);
  int status = lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK) {
    fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL)); /* an error object has a message, too */
  }
  lua_close(L);
  return status == LUA_OK ? 0 : 1;
}
