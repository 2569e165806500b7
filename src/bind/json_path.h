/*
** Where in a Lua value the encoder is, and how that is told to a person: `input.coefficients[3]`.
** Built on the C stack while tables are entered; costs nothing until something is wrong.
*/
#ifndef QHUB_JSON_PATH_H
#define QHUB_JSON_PATH_H

#include <lua.h>

/* One table that is being written, and the item of it that is being written. */
typedef struct qhub_json_step {
  const struct qhub_json_step *outer; /* the table around it; NULL: none */
  const void *table;                  /* identity, to recognise cycles */
  lua_Integer item;                   /* index of the item; 0: none, or a member */
  int name;                           /* stack index of the member's name (a string); 0: none */
  int depth;                          /* 1 for the outermost table */
} qhub_json_step;

/* Raises "PATH: reason" with the path of the item that `step` stands at ("value" when it is NULL),
** and the reason on top of the stack. Long paths are shortened in the middle. Never returns. */
int qhub_json_raise_at(lua_State *L, const qhub_json_step *step);

/* Pushes the path alone.  [-0, +1] */
void qhub_json_push_path(lua_State *L, const qhub_json_step *step);

#endif
