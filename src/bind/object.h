/*
** What other bindings may know of objects whose class is written in Lua: how JSON gets at the value
** that stands for one.
*/
#ifndef QHUB_OBJECT_H
#define QHUB_OBJECT_H

#include <lua.h>
#include <stdbool.h>

/* When the userdata at `index` has a class with `__encoded`, calls that function with the object,
** pushes what it returns and returns true; else pushes nothing and returns false. The call runs Lua
** and may raise.  [-0, +1 or +0] */
bool qhub_object_push_encoded(lua_State *L, int index);

#endif
