/*
** What other bindings may know of an execution: how JSON gets at the answer it holds.
*/
#ifndef QHUB_EXECUTION_H
#define QHUB_EXECUTION_H

#include <lua.h>
#include <stdbool.h>

/* When the value at `index` is an execution, pushes its raw table and returns true; else pushes
** nothing and returns false.  [-0, +1 or +0] */
bool qhub_execution_push_raw(lua_State *L, int index);

#endif
