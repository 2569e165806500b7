/*
** What the bindings of engine, session and transfer offer each other: engine.c -> session.c ->
** transfer.c. Each type is known in its own file only.
**
** The engine has one user value: a table with weak values from the address of a transfer to its
** userdata, through which a ready transfer finds the userdata without keeping it alive.
*/
#ifndef QHUB_ENGINE_BIND_H
#define QHUB_ENGINE_BIND_H

#include <lua.h>

#include "../engine/engine.h"

/* User values. */
enum { QHUB_ENGINE_TRANSFERS = 1, QHUB_ENGINE_VALUES = 1 };
enum { QHUB_SESSION_ENGINE = 1, QHUB_SESSION_VALUES = 1 };

/* engine:session(config) -> session, of the open engine at argument 1   [-2, +1] */
int qhub_bind_session(lua_State *L, qhub_engine *engine);

/* session:start(prepared, url, body, closed) -> transfer, whether it is done already, with the
** prepared request at argument 2.  [-5, +2]
** `closed`, if not nil, is a closed transfer of the session, which is used again. */
int qhub_bind_start(lua_State *L, qhub_session *session, const qhub_prepared *prepared);

/* The transfer at an argument. One that was closed is still there.  [-0, +0] */
qhub_transfer *qhub_bind_check_transfer(lua_State *L, int argument);

#endif
