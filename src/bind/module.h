/*
** What the files of src/bind/ offer each other: one opener per table of `qhub.core`.
** Each opener leaves exactly one value on the stack: its table or function.  [-0, +1]
*/
#ifndef QHUB_MODULE_H
#define QHUB_MODULE_H

#include <lua.h>

int qhub_open_engine(lua_State *L);   /* core.engine: function that makes an engine */
int qhub_open_json(lua_State *L);     /* core.json */
int qhub_open_object(lua_State *L);   /* core.object */
int qhub_open_text(lua_State *L);     /* core.text */
int qhub_open_system(lua_State *L);   /* core.system */
int qhub_open_partfile(lua_State *L); /* core.partfile */

/* Make the metatables of what an engine makes; nothing is left on the stack.  [-0, +0] */
void qhub_register_session(lua_State *L);
void qhub_register_transfer(lua_State *L);

#endif
