/*
** core.json.encode: Lua values become a JSON text that decodes to the same values.
**
** A table with the keys 1 to n and no other is an array, every other one an object; marks (json.c)
** decide for empty tables and make the encoder check the rest. Tables are read raw: no metamethod
** runs, so nothing changes under the encoder. (A userdata has one, `__encoded`: see object.c.) A
** value that JSON cannot hold is refused with its path.
**
** Members are written in the order of their names (by bytes), so that the same table gives the same
** text in every run. The text, and the names while they are sorted, are in C memory that a box on
** the stack owns, because Lua may raise at any point; the box is used again. Knows nothing of
** decoding.
*/
#include "json.h"

#include "../json/names.h"
#include "../json/word.h"
#include "../text/buffer.h"
#include "../text/number.h"
#include "../text/printable.h"
#include "../text/utf8.h"
#include "json_refuse.h"

#include <assert.h>
#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static_assert(sizeof(lua_Integer) == sizeof(int64_t) && sizeof(lua_Number) == sizeof(double),
              "Lua's numbers must be 64-bit integers and doubles");

/* What must be freed; a userdata. */
typedef struct {
  bool busy; /* a text is being written */
  qhub_buffer text;
  qhub_json_names names; /* of the objects that are being written */
} encode_box;

enum {
  KEPT = 24,            /* members of an object, on the Lua stack while it is written */
  MOST_KEPT = 16 * 1024 /* bytes of text, and names, that an idle box keeps room for */
};

typedef struct {
  lua_State *L;
  encode_box *box;
  char *at;               /* where the next byte goes, in the box's text */
  char *end;              /* of the room there */
  const void *array_mark; /* identities of the metatables that are marks */
  const void *object_mark;
  int indent; /* spaces for each level; 0: all in one line */
} encoder;

/* ---- output ------------------------------------------------------------------------------ */

static void raise_memory(encoder *e) {
  lua_pushliteral(e->L, "not enough memory");
  lua_error(e->L);
}

/* Not inlined, so that `reserve` is. */
__attribute__((noinline)) static void grow(encoder *e, size_t extra) {
  qhub_buffer *text = &e->box->text;
  if (e->at != NULL) text->length = (size_t)(e->at - text->data);
  if (qhub_buffer_reserve(text, extra, &e->at) != QHUB_BUFFER_OK) raise_memory(e);
  e->end = text->data + text->capacity;
}

/* Room for `extra` more bytes at `e->at`. */
static inline void reserve(encoder *e, size_t extra) {
  if ((size_t)(e->end - e->at) < extra) grow(e, extra);
}

static inline void write_char(encoder *e, char byte) {
  reserve(e, 1);
  *e->at++ = byte;
}

static inline void write_bytes(encoder *e, const char *bytes, size_t length) {
  reserve(e, length);
  memcpy(e->at, bytes, length);
  e->at += length;
}

/* Begins a line for an item at `depth`, unless all goes into one line. */
static void write_line(encoder *e, int depth) {
  if (e->indent == 0) return;
  size_t width = (size_t)depth * (size_t)e->indent;
  write_char(e, '\n');
  reserve(e, width);
  memset(e->at, ' ', width);
  e->at += width;
}

/* ---- strings ----------------------------------------------------------------------------- */

/* Writes the escape of a control character, a quote or a backslash. */
static void write_escape(encoder *e, char byte) {
  static const char letters[] = "\"\\\b\f\n\r\t";
  static const char names[] = "\"\\bfnrt";
  static const char hex[] = "0123456789abcdef";
  const char *letter = byte != '\0' ? strchr(letters, byte) : NULL;
  char form[] = {'\\', 'u', '0', '0', hex[(byte >> 4) & 15], hex[byte & 15]};
  if (letter != NULL) form[1] = names[letter - letters];
  write_bytes(e, form, letter != NULL ? 2 : sizeof form);
}

/* Writes what follows the first `done` bytes of a string, and the closing quote. */
static size_t write_rest(encoder *e, const char *text, size_t length, size_t done) {
  while (done < length) {
    size_t run = qhub_utf8_sequence(text + done, length - done);
    if (run == 0) return done + 1;
    if (run == 1) {
      write_escape(e, text[done++]);
      run = 0;
    }
    run += qhub_json_plain_run(text + done + run, length - done - run);
    write_bytes(e, text + done, run);
    done += run;
  }
  write_char(e, '"');
  return 0;
}

/* Writes a string in quotes. Returns 0, or the place (from 1) of the byte that is not UTF-8. Most
** strings stand for themselves as a whole. */
static size_t write_string(encoder *e, const char *text, size_t length) {
  size_t plain = qhub_json_plain_run(text, length);
  reserve(e, plain + 2);
  char *out = e->at;
  *out++ = '"';
  memcpy(out, text, plain);
  e->at = out + plain;
  if (plain < length) return write_rest(e, text, length, plain);
  *e->at++ = '"';
  return 0;
}

/* ---- values ------------------------------------------------------------------------------ */

static void write_table(encoder *e, int index, const qhub_json_step *outer);

static void write_number(encoder *e, int index, const qhub_json_step *step) {
  reserve(e, QHUB_NUMBER_SIZE);
  if (lua_isinteger(e->L, index)) {
    e->at += qhub_number_write_integer(lua_tointeger(e->L, index), e->at);
    return;
  }
  double value = lua_tonumber(e->L, index);
  if (!isfinite(value)) qhub_json_refuse_number(e->L, step, value);
  e->at += qhub_number_write(value, e->at);
}

/* Pushes the value that stands for a userdata: `__encoded(object)`, not a userdata itself. Runs
** Lua.  [-0, +1] */
static void push_encoded(lua_State *L, int index, const qhub_json_step *step) {
  if (luaL_getmetafield(L, index, "__encoded") == LUA_TNIL) qhub_json_refuse_type(L, step, index);
  lua_pushvalue(L, index);
  lua_call(L, 1, 1);
  if (lua_type(L, -1) == LUA_TUSERDATA) qhub_json_refuse_type(L, step, index);
}

/* Writes the value at `index` (absolute), which is the item that `step` stands at.  [-0, +0] */
static void write_value(encoder *e, int index, const qhub_json_step *step) {
  lua_State *L = e->L;
  switch (lua_type(L, index)) {
    case LUA_TNUMBER: write_number(e, index, step); break;
    case LUA_TSTRING: {
      size_t length;
      const char *text = lua_tolstring(L, index, &length);
      size_t wrong = write_string(e, text, length);
      if (wrong > 0) {
        lua_pushfstring(L,
                        "the string is not valid UTF-8 (byte %I); encode binary data as text, "
                        "for example as base64",
                        (LUAI_UACINT)wrong);
        qhub_json_raise_at(L, step);
      }
      break;
    }
    case LUA_TBOOLEAN: {
      const char *word = lua_toboolean(L, index) ? "true" : "false";
      write_bytes(e, word, strlen(word));
      break;
    }
    case LUA_TTABLE: write_table(e, index, step); break;
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(L, index) != NULL) qhub_json_refuse_type(e->L, step, index);
      write_bytes(e, "null", 4);
      break;
    case LUA_TUSERDATA:
      push_encoded(L, index, step);
      write_value(e, lua_gettop(L), step);
      lua_pop(L, 1);
      break;
    default: qhub_json_refuse_type(e->L, step, index);
  }
}

/* ---- tables ------------------------------------------------------------------------------ */

static qhub_json_mark mark_of(const encoder *e, int index) {
  if (!lua_getmetatable(e->L, index)) return QHUB_JSON_UNMARKED;
  const void *metatable = lua_topointer(e->L, -1);
  lua_pop(e->L, 1);
  if (metatable == e->array_mark) return QHUB_JSON_ARRAY;
  return metatable == e->object_mark ? QHUB_JSON_OBJECT : QHUB_JSON_UNMARKED;
}

/* Writes a table whose keys must be 1 to n. They are when there are as many as there are items up
** to the border, and none of these is missing.  [-0, +0] */
static void write_array(encoder *e, int index, qhub_json_step *step, qhub_json_mark kind) {
  lua_State *L = e->L;
  lua_Integer length = (lua_Integer)lua_rawlen(L, index);
  lua_Integer count = 0;
  int item = lua_gettop(L) + 1;
  for (lua_pushnil(L); lua_next(L, index); lua_settop(L, item)) count++;
  if (count != length) qhub_json_refuse_array(L, step, index, kind);
  write_char(e, '[');
  while (step->item < length) {
    if (step->item++ > 0) write_char(e, ',');
    write_line(e, step->depth);
    if (lua_rawgeti(L, index, step->item) == LUA_TNIL) {
      qhub_json_refuse_array(L, step, index, kind);
    }
    write_value(e, item, step);
    lua_settop(L, item - 1);
  }
  write_line(e, step->depth - 1);
  write_char(e, ']');
}

/* Adds the names of a table, of which the first key and value are at `key` and on top, to the list,
** and leaves the first members on the stack as pairs.  [-2, +2 to 2 * KEPT] */
static void collect_names(encoder *e, int index, int key, const qhub_json_step *step,
                          qhub_json_mark kind) {
  lua_State *L = e->L;
  int last = key + 2 * (KEPT - 1); /* where the last pair goes that is kept */
  do {
    if (lua_type(L, key) != LUA_TSTRING) {
      lua_settop(L, key);
      qhub_json_refuse_key(L, step->outer, kind);
    }
    size_t length;
    const char *bytes = lua_tolstring(L, key, &length);
    bool keep = key < last;
    if (!qhub_json_names_add(&e->box->names, bytes, length, keep ? key : 0)) raise_memory(e);
    if (keep) {
      lua_pushvalue(L, key);
      key += 2;
    } else {
      lua_settop(L, key);
    }
  } while (lua_next(L, index));
}

/* Pushes a name and its value; returns the index of the name.  [-0, +2] */
static int push_member(lua_State *L, int index, const qhub_json_name *name) {
  lua_pushlstring(L, name->bytes, name->length);
  lua_pushvalue(L, -1);
  lua_rawget(L, index);
  return lua_gettop(L) - 1;
}

/* The first key and value of the table are on the stack.  [-2, +0] */
static void write_object(encoder *e, int index, qhub_json_step *step, qhub_json_mark kind) {
  lua_State *L = e->L;
  qhub_json_names *names = &e->box->names;
  int key = lua_gettop(L) - 1;
  size_t first = names->count;
  collect_names(e, index, key, step, kind);
  size_t last = names->count;
  qhub_json_names_sort(names, first);
  write_char(e, '{');
  for (size_t i = first; i < last; i++) {
    const qhub_json_name *name = &names->items[i]; /* moves while the value is written */
    int slot = name->slot;
    step->name = slot != 0 ? slot : push_member(L, index, name);
    if (i > first) write_char(e, ',');
    write_line(e, step->depth);
    if (write_string(e, name->bytes, name->length) > 0) {
      lua_pushliteral(L, "the name of the member is not valid UTF-8");
      qhub_json_raise_at(L, step);
    }
    write_char(e, ':');
    if (e->indent > 0) write_char(e, ' ');
    write_value(e, step->name + 1, step);
    if (slot == 0) lua_pop(L, 2);
  }
  names->count = first;
  lua_settop(L, key - 1);
  write_line(e, step->depth - 1);
  write_char(e, '}');
}

/* `outer` stands at this table; it is NULL for the outermost one.  [-0, +0] */
static void write_table(encoder *e, int index, const qhub_json_step *outer) {
  lua_State *L = e->L;
  int depth = outer != NULL ? outer->depth + 1 : 1;
  qhub_json_step step = {outer, lua_topointer(L, index), 0, 0, depth};
  for (const qhub_json_step *same = outer; same != NULL; same = same->outer) {
    if (same->table == step.table) qhub_json_refuse_cycle(e->L, outer, same);
  }
  if (depth > QHUB_JSON_MAX_DEPTH) {
    lua_pushfstring(L, "tables are nested more than %d deep", QHUB_JSON_MAX_DEPTH);
    qhub_json_raise_at(L, outer);
  }
  luaL_checkstack(L, 2 * KEPT + 12, "not enough memory for nested JSON");
  qhub_json_mark kind = mark_of(e, index);
  lua_pushnil(L);
  if (!lua_next(L, index)) {
    write_bytes(e, kind == QHUB_JSON_ARRAY ? "[]" : "{}", 2);
  } else if (kind == QHUB_JSON_ARRAY || (kind == QHUB_JSON_UNMARKED && lua_isinteger(L, -2))) {
    lua_pop(L, 2);
    write_array(e, index, &step, kind);
  } else {
    write_object(e, index, &step, kind);
  }
}

/* [-0, +1] */
static encode_box *new_box(lua_State *L) {
  encode_box *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (encode_box){.names = {NULL, 0, 0}};
  qhub_buffer_init(&box->text, PTRDIFF_MAX);
  return box;
}

/* The box that is kept, or another one: an `__encoded` may encode.  [-0, +1] */
static encode_box *take_box(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(QHUB_JSON_ENCODE_BOX));
  encode_box *box = lua_touserdata(L, -1);
  if (box->busy) {
    (void)lua_getmetatable(L, -1);
    box = new_box(L);
    lua_insert(L, -2);
    lua_setmetatable(L, -2);
  }
  lua_toclose(L, -1);
  box->busy = true;
  return box;
}

int qhub_json_encode(lua_State *L) {
  luaL_checkany(L, 1);
  lua_Integer indent = luaL_optinteger(L, 2, 0);
  luaL_argcheck(L, indent >= 0 && indent <= QHUB_JSON_MAX_INDENT, 2, "0 to 16 expected");
  lua_settop(L, 1);
  encode_box *box = take_box(L);
  encoder e = {.L = L, .box = box, .indent = (int)indent};
  e.at = box->text.data;
  e.end = e.at + box->text.capacity;
  e.array_mark = lua_topointer(L, lua_upvalueindex(QHUB_JSON_ARRAY_MARK));
  e.object_mark = lua_topointer(L, lua_upvalueindex(QHUB_JSON_OBJECT_MARK));
  write_value(&e, 1, NULL);
  lua_pushlstring(L, box->text.data, (size_t)(e.at - box->text.data));
  return 1;
}

/* __gc: idempotent */
static int free_box(lua_State *L) {
  encode_box *box = lua_touserdata(L, 1);
  qhub_buffer_free(&box->text);
  qhub_json_names_free(&box->names);
  return 0;
}

/* __close */
static int close_box(lua_State *L) {
  encode_box *box = lua_touserdata(L, 1);
  box->busy = false;
  box->text.length = box->names.count = 0;
  size_t names = box->names.capacity * sizeof *box->names.items;
  bool large = box->text.capacity > MOST_KEPT || names > MOST_KEPT;
  return large ? free_box(L) : 0;
}

/* Where Lua lacks the memory to call __close, the box stays busy until __gc. */
static const luaL_Reg box_metamethods[] = {
  {"__close", close_box},
  {"__gc", free_box},
  {NULL, NULL},
};

void qhub_json_push_encode_box(lua_State *L) {
  (void)new_box(L);
  luaL_newlib(L, box_metamethods);
  lua_setmetatable(L, -2);
}
