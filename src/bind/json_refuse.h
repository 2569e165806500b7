/*
** What the encoder says of a value that JSON cannot hold: why, and where in the value it stands, as
** in `input.coefficients[3]`. Places are built on the C stack while tables are entered; they cost
** nothing until something is wrong. None of these functions returns.
*/
#ifndef QHUB_JSON_REFUSE_H
#define QHUB_JSON_REFUSE_H

#include <lua.h>
#include <stddef.h>

/* One table that is being written, and the item of it that is being written. */
typedef struct qhub_json_step {
  const struct qhub_json_step *outer; /* the table around it; NULL: none */
  const void *table;                  /* identity, to recognise cycles */
  lua_Integer item;                   /* index of the item; 0: none, or a member */
  const char *name;                   /* of the member; NULL: none, or an item */
  size_t name_length;
  int depth; /* 1 for the outermost table */
} qhub_json_step;

/* How a table is written, by its metatable. */
typedef enum { QHUB_JSON_UNMARKED, QHUB_JSON_ARRAY, QHUB_JSON_OBJECT } qhub_json_mark;

/* Raises "PATH: REASON" with the path of the item that `step` stands at ("value" when it is NULL).
** Long paths are shortened in the middle. The reason is made as by lua_pushfstring. */
int qhub_json_refuse(lua_State *L, const qhub_json_step *step, const char *reason, ...);

/* The key on top of the stack does not belong into the table that `step` stands at. */
int qhub_json_refuse_key(lua_State *L, const qhub_json_step *step, qhub_json_mark kind);

/* The keys of the table at `index`, which `step` stands at, are not 1 to n. */
int qhub_json_refuse_array(lua_State *L, const qhub_json_step *step, int index,
                           qhub_json_mark kind);

/* The value at `index` cannot be written at all. */
int qhub_json_refuse_type(lua_State *L, const qhub_json_step *step, int index);

/* `step` stands at a table that is one of the tables around it: the one that `same` stands at. */
int qhub_json_refuse_cycle(lua_State *L, const qhub_json_step *step, const qhub_json_step *same);

#endif
