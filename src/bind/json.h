/*
** What the files of core.json share: their functions and the upvalues that these expect. The marks
** are metatables; they live in upvalues, so that neither the registry nor the environment is asked
** for them.
*/
#ifndef QHUB_JSON_H
#define QHUB_JSON_H

#include "../json/scan.h"

#include <lua.h>

/* Upvalues of every function of core.json: three metatables and a userdata. */
enum {
  QHUB_JSON_ARRAY_MARK = 1, /* of tables that are arrays */
  QHUB_JSON_OBJECT_MARK,    /* of tables that are objects */
  QHUB_JSON_ENCODE_BOX,     /* the memory of `encode` */
  QHUB_JSON_DOCUMENT_BOX,   /* of the memory that `document` holds */
  QHUB_JSON_UPVALUES = QHUB_JSON_DOCUMENT_BOX
};

enum { QHUB_JSON_MAX_INDENT = 16 };

/* encode(value, indent) -> text. A positive `indent` is the number of spaces for each level of a
** text in lines. Raises "PATH: reason" for what JSON cannot hold.  [-0, +1] */
int qhub_json_encode(lua_State *L);

/* decode(text, accept_nan) -> value; or nil, message, line, column.  [-0, +1 or +4] */
int qhub_json_decode(lua_State *L);

/* members(text, accept_nan, name...) -> true, value...: the members of these names of the object in
** `text`, which is scanned to its end; nil for one that is absent, the last of several. Or false:
** the text is not a valid object, a name has an escape, or one of these members is an array or
** object; then `decode` says what it is. One to four names.  [-0, +1 or more] */
int qhub_json_members(lua_State *L);

/* document(text, accept_nan) -> the same, for small documents: see json_document.c.
** [-0, +1 or +4] */
int qhub_json_document(lua_State *L);

/* Pushes nil, message, line and column after an error of the scanner; returns 4.  [-0, +4] */
int qhub_json_push_failure(lua_State *L, const qhub_json_scanner *scanner);

/* Push what the last two upvalues are to be.  [-0, +1] */
void qhub_json_push_encode_box(lua_State *L);
void qhub_json_push_document_box(lua_State *L);

#endif
