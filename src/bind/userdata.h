/*
** The one way in which this module makes userdata.
**
** A type has a name, a size and a `close`. An object is so many bytes that start zeroed, or else
** a pointer that starts as NULL: it is valid before it acquires anything. The method `close`, if
** there is one, __close and __gc all end in functions of the type that are idempotent. Lua values
** of an object live in its user values.
*/
#ifndef QHUB_USERDATA_H
#define QHUB_USERDATA_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct {
  const char *name;              /* "qhub.Thing", also the key in the registry */
  const char *label;             /* "part file", for the error about a closed one */
  size_t size;                   /* bytes; 0: the userdata has a pointer to the object */
  int values;                    /* number of user values */
  bool (*is_open)(void *object); /* NULL: always, once there is an object */
  void (*close)(void *object);
  void (*free)(void *object); /* instead of `close`, for __gc of what is pointed to */
} qhub_userdata_type;

/* Makes the metatable: `methods` (or NULL) as __index; __gc, __close and __tostring unless
** `metamethods` (or NULL) has its own. Every function has the metatable and the type as its first
** two upvalues. `type` must outlive the Lua state.  [-0, +0] */
void qhub_userdata_register(lua_State *L, const qhub_userdata_type *type, const luaL_Reg *methods,
                            const luaL_Reg *metamethods);

/* The memory of a new object, or the place of the pointer to it, zeroed; user values are nil.
** [-0, +1] */
void *qhub_userdata_new(lua_State *L, const qhub_userdata_type *type);

/* Argument 1 of a method or metamethod; raises unless it is of the type. Compares with the
** function's upvalue first: the registry is asked only to word the error. NULL where no object was
** acquired.  [-0, +0] */
void *qhub_userdata_check(lua_State *L, const qhub_userdata_type *type);

/* The same; raises "attempt to use a closed LABEL" unless the object is open.  [-0, +0] */
void *qhub_userdata_check_open(lua_State *L, const qhub_userdata_type *type);

/* The method `close` for those that need no more than the type's.  [-0, +0] */
int qhub_userdata_close(lua_State *L);

#endif
