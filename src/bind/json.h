/*
** What the files of core.json share: their functions and the upvalues that these expect. The marks
** are metatables; they live in upvalues, so that neither the registry nor the environment is asked
** for them.
*/
#ifndef QHUB_JSON_H
#define QHUB_JSON_H

#include <lua.h>

/* Upvalues of every function of core.json: metatables. */
enum {
  QHUB_JSON_ARRAY_MARK = 1, /* of tables that are arrays */
  QHUB_JSON_OBJECT_MARK,    /* of tables that are objects */
  QHUB_JSON_UPVALUES = QHUB_JSON_OBJECT_MARK
};

enum { QHUB_JSON_MAX_DEPTH = 1000 }; /* arrays and objects within each other */

/* encode(value, indent) -> text. A positive `indent` (16 at most) is the number of spaces for each
** level of a text in lines. Raises "PATH: reason" for what JSON cannot hold.  [-0, +1] */
int qhub_json_encode(lua_State *L);

/* decode(text, accept_nan) -> value; or nil, message, line, column.  [-0, +1 or +4] */
int qhub_json_decode(lua_State *L);

/* members(text, accept_nan, name...) -> true, value...: the members of these names (a few) of the
** object in `text`; nil for one that is absent, the last of several. Or false: the text is not a
** valid object.  [-0, +1 or more] */
int qhub_json_members(lua_State *L);

/* document(text) -> value; or nil, line, column: see json_document.c.  [-0, +1 or +3] */
int qhub_json_document(lua_State *L);

/* Pushes line and column of a position in the text, from 1. Lines end with LF; columns count
** characters, not bytes.  [-0, +2] */
void qhub_json_push_place(lua_State *L, const char *text, const char *position);

#endif
