/*
** What the bindings of engine, session and transfer offer each other. Private to these three files.
**
** A userdata holds nothing but a pointer, NULL until the object is acquired. The engine has one
** user value: a table with weak values from the address of a transfer to its userdata, through
** which a ready transfer finds the userdata without keeping it alive.
*/
#ifndef QHUB_ENGINE_BIND_H
#define QHUB_ENGINE_BIND_H

#include <lauxlib.h>
#include <lua.h>

#include "../engine/engine.h"

#define QHUB_ENGINE_TYPE "qhub.Engine"
#define QHUB_SESSION_TYPE "qhub.Session"
#define QHUB_PREPARED_TYPE "qhub.Prepared"
#define QHUB_TRANSFER_TYPE "qhub.Transfer"

typedef struct {
  qhub_engine *engine;
} qhub_engine_box;

typedef struct {
  qhub_session *session;
} qhub_session_box;

typedef struct {
  qhub_prepared *prepared;
} qhub_prepared_box;

typedef struct {
  qhub_transfer *transfer;
} qhub_transfer_box;

/* User values. */
enum { QHUB_ENGINE_TRANSFERS = 1, QHUB_ENGINE_VALUES = 1 };
enum { QHUB_SESSION_ENGINE = 1, QHUB_SESSION_VALUES = 1 };
enum { QHUB_TRANSFER_SESSION = 1, QHUB_TRANSFER_BODY, QHUB_TRANSFER_VALUES = QHUB_TRANSFER_BODY };

/* engine:session(config) -> session   [-2, +1] */
int qhub_bind_session(lua_State *L);

/* session:prepare { method =, header_lines =, timeout =, connect_timeout =, max_bytes =, stream =,
** once =, decode = } -> prepared   [-2, +1] */
int qhub_bind_prepare(lua_State *L);

/* session:start(prepared, url, body) -> transfer, or nil, kind, message   [-4, +1 or 3] */
int qhub_bind_start(lua_State *L);

/* Make the metatables; nothing is left on the stack.  [-0, +0] */
void qhub_bind_session_type(lua_State *L);
void qhub_bind_prepared_type(lua_State *L);
void qhub_bind_transfer_type(lua_State *L);

/* Makes a metatable with `methods` as its __index; all functions have it as their only upvalue.
** [-0, +0] */
void qhub_bind_type(lua_State *L, const char *name, const luaL_Reg *methods,
                    const luaL_Reg *metamethods);

/* Argument 1, checked by a method or metamethod of the type `name`; luaL_checkudata would look the
** metatable up each time.  [-0, +0] */
void *qhub_bind_check(lua_State *L, const char *name);

/* Creates an empty object of a type: `size` zeroed bytes, `values` user values.  [-0, +1] */
void *qhub_bind_new(lua_State *L, const char *name, size_t size, int values);

/* "timeout" and the like. */
const char *qhub_bind_kind_name(qhub_failure_kind kind);

#endif
