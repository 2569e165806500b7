/*
** What the files of core.json share: the functions of json_encode.c and json_decode.c and the
** upvalues that both expect. The marks are metatables; they live in upvalues, so that neither the
** registry nor the environment is asked for them.
*/
#ifndef QHUB_JSON_H
#define QHUB_JSON_H

#include <lua.h>

/* Upvalues of `qhub_json_encode` and `qhub_json_decode`. */
enum {
  QHUB_JSON_ARRAY_MARK = 1,  /* metatable of tables that are arrays */
  QHUB_JSON_OBJECT_MARK,     /* metatable of tables that are objects */
  QHUB_JSON_BOX,             /* metatable of the function's own memory box */
  QHUB_JSON_UPVALUES = QHUB_JSON_BOX
};

/* encode(value) -> text. Raises "PATH: reason" for what JSON cannot hold.  [-0, +1] */
int qhub_json_encode(lua_State *L);

/* decode(text) -> value; or nil, message, line, column.  [-0, +1 or +4] */
int qhub_json_decode(lua_State *L);

/* Push a new metatable for the memory box of each of the two.  [-0, +1] */
void qhub_json_push_encode_box(lua_State *L);
void qhub_json_push_decode_box(lua_State *L);

#endif
