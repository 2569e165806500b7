/*
** `luaopen_qhub_core`: the only symbol that the shared object exports.
**
** Puts the tables of the binding files together and pins the shared object in memory: libcurl may
** run resolver threads of its own, and `lua_close` would otherwise unload the code under them.
** Does no I/O and acquires nothing beyond Lua values.
*/
#define _GNU_SOURCE /* dladdr; set here only, because it changes strerror_r */
#include "module.h"

#include <dlfcn.h>
#include <lauxlib.h>

LUAMOD_API __attribute__((visibility("default"))) int luaopen_qhub_core(lua_State *L);

static const luaL_Reg tables[] = {
  {"engine", qhub_open_engine},
  {"json", qhub_open_json},
  {"object", qhub_open_object},
  {"text", qhub_open_text},
  {"system", qhub_open_system},
  {"partfile", qhub_open_partfile},
  {NULL, NULL},
};

/* Keeps this shared object loaded until the process ends. A failure is harmless (a statically
** linked module has nothing to pin), so it is not reported. */
static void pin_shared_object(void) {
  Dl_info info;
  static const char anchor = 0; /* any address inside this object */
  if (dladdr(&anchor, &info) != 0 && info.dli_fname != NULL) {
    (void)dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  }
}

/* [-0, +1] the table of `qhub.core` */
int luaopen_qhub_core(lua_State *L) {
  luaL_checkversion(L);
  pin_shared_object();
  qhub_register_session(L);
  qhub_register_transfer(L);
  lua_newtable(L);
  for (const luaL_Reg *entry = tables; entry->name != NULL; entry++) {
    lua_pushcfunction(L, entry->func);
    lua_call(L, 0, 1);
    lua_setfield(L, -2, entry->name);
  }
  return 1;
}
