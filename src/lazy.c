/*
** `qhub.lazy`: lets the dynamic linker bind the libraries behind `qhub.core` lazily.
**
** Lua opens C modules with RTLD_NOW, which makes the linker look up every function that the thirty
** libraries behind libcurl could call. An object that is open already stays as it was bound. So
** this module opens the `core.so` next to it before Lua does. It is optional: without it the start
** takes longer, and nothing else changes.
*/
#define _GNU_SOURCE /* dladdr */
#include <dlfcn.h>
#include <lauxlib.h>
#include <string.h>

LUAMOD_API __attribute__((visibility("default"))) int luaopen_qhub_lazy(lua_State *L);

/* [-0, +1] true when `core.so` is open. It is never closed: it pins itself. */
int luaopen_qhub_lazy(lua_State *L) {
  Dl_info info;
  static const char anchor = 0; /* any address inside this object */
  const char *name = NULL;
  if (dladdr(&anchor, &info) != 0 && info.dli_fname != NULL) name = strrchr(info.dli_fname, '/');
  if (name != NULL) {
    lua_pushlstring(L, info.dli_fname, (size_t)(name + 1 - info.dli_fname));
    lua_pushliteral(L, "core.so");
    lua_concat(L, 2);
    name = lua_tostring(L, -1);
  }
  lua_pushboolean(L, name != NULL && dlopen(name, RTLD_LAZY | RTLD_LOCAL) != NULL);
  return 1;
}
