/*
** core.json.encode: Lua values become a JSON text that decodes to the same values.
**
** A table with the keys 1 to n and no other is an array, every other one an object; marks (json.c)
** decide for empty tables and make the encoder check the rest. Tables are read raw: no metamethod
** runs, so nothing changes under the encoder. (A userdata has one, `__encoded`: see object.c.) A
** value that JSON cannot hold is refused with its path.
**
** Members are written in the order of their names (by bytes), so that the same table gives the same
** text in every run. The text, and the names while they are sorted, are in C memory; the members of
** the objects that are being written are in a Lua table, too: what Lua code does to an object
** meanwhile changes nothing. All that may raise runs in a protected call, after which the memory is
** freed.
*/
#include "json.h"

#include "../text/buffer.h"
#include "../text/characters.h"
#include "../text/json_string.h"
#include "../text/number.h"
#include "json_refuse.h"

#include <assert.h>
#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(lua_Integer) == sizeof(int64_t) && sizeof(lua_Number) == sizeof(double),
              "Lua's numbers must be 64-bit integers and doubles");

/* Stack index, while a value is written, of a table of keys and values: see member_name. */
enum { MEMBERS = 3 };

typedef struct {
  lua_State *L;
  char *at;          /* where the next byte goes, in `text` */
  char *end;         /* of the room there */
  qhub_buffer text;  /* owned */
  qhub_buffer names; /* owned: a stack of member_name, for the objects that are being written */
  const void *array_mark; /* identities of the metatables that are marks */
  const void *object_mark;
  int indent; /* spaces for each level; 0: all in one line */
} encoder;

/* ---- output ------------------------------------------------------------------------------ */

/* Not inlined, so that `reserve` is. */
__attribute__((noinline)) static void grow(encoder *e, size_t extra) {
  if (e->at != NULL) e->text.length = (size_t)(e->at - e->text.data);
  if (qhub_buffer_reserve(&e->text, extra, &e->at) != QHUB_BUFFER_OK) {
    luaL_error(e->L, "not enough memory");
  }
  e->end = e->text.data + e->text.capacity;
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

/* Writes a string in quotes, or refuses it for `reason`, of which %I is the place of the byte that
** is not UTF-8. */
static void write_string(encoder *e, const char *text, size_t length, const qhub_json_step *step,
                         const char *reason) {
  size_t done = 0;
  write_char(e, '"');
  for (;;) {
    size_t run = qhub_json_plain_run(text + done, length - done);
    write_bytes(e, text + done, run);
    done += run;
    if (done == length) break;
    run = qhub_utf8_sequence(text + done, length - done);
    if (run == 0) qhub_json_refuse(e->L, step, reason, (LUAI_UACINT)done + 1);
    if (run == 1) {
      write_escape(e, text[done]);
    } else {
      write_bytes(e, text + done, run);
    }
    done += run;
  }
  write_char(e, '"');
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
  if (!isfinite(value)) {
    qhub_json_refuse(e->L, step,
                     "%s cannot be written as JSON, which has finite numbers only; use "
                     "qhub.json.null or a string",
                     isnan(value) ? "NaN"
                     : value > 0  ? "infinity"
                                  : "-infinity");
  }
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
      write_string(e, text, length, step,
                   "the string is not valid UTF-8 (byte %I); encode binary data as text, for "
                   "example as base64");
      break;
    }
    case LUA_TBOOLEAN: {
      const char *word = lua_toboolean(L, index) ? "true" : "false";
      write_bytes(e, word, strlen(word));
      break;
    }
    case LUA_TTABLE: write_table(e, index, step); break;
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(L, index) != NULL) qhub_json_refuse_type(L, step, index);
      write_bytes(e, "null", 4);
      break;
    case LUA_TUSERDATA:
      push_encoded(L, index, step);
      write_value(e, lua_gettop(L), step);
      lua_pop(L, 1);
      break;
    default: qhub_json_refuse_type(L, step, index);
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

typedef struct {
  const char *bytes; /* of the key in the table at MEMBERS */
  size_t length;
  uint64_t prefix;   /* the first bytes as a number of the same order */
  lua_Integer place; /* of the value there; the key is in front of it */
} member_name;

static int compare(const void *one, const void *other) {
  const member_name *a = one, *b = other;
  if (a->prefix != b->prefix) return a->prefix < b->prefix ? -1 : 1;
  int order = memcmp(a->bytes, b->bytes, a->length < b->length ? a->length : b->length);
  return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

/* Most objects are small; for those an insertion sort is faster. */
static void sort_names(member_name *names, size_t count) {
  enum { SMALL = 24 };
  if (count > SMALL) {
    qsort(names, count, sizeof *names, compare);
    return;
  }
  for (size_t i = 1; i < count; i++) {
    member_name moved = names[i];
    size_t to = i;
    for (; to > 0 && compare(&names[to - 1], &moved) > 0; to--) names[to] = names[to - 1];
    names[to] = moved;
  }
}

/* Adds the members of a table, of which the first key and value are on top, to the stack of names,
** in their order, and to the table at MEMBERS.  [-2, +0] */
static void collect_members(encoder *e, int index, const qhub_json_step *step,
                            qhub_json_mark kind) {
  lua_State *L = e->L;
  size_t before = e->names.length;
  do {
    char *room;
    if (lua_type(L, -2) != LUA_TSTRING) {
      lua_pop(L, 1);
      qhub_json_refuse_key(L, step, kind);
    }
    if (qhub_buffer_reserve(&e->names, sizeof(member_name), &room) != QHUB_BUFFER_OK) {
      luaL_error(L, "not enough memory");
    }
    member_name *name = (member_name *)(void *)room;
    name->bytes = lua_tolstring(L, -2, &name->length);
    name->prefix = __builtin_bswap64(qhub_json_word(name->bytes, name->length));
    e->names.length += sizeof *name;
    name->place = (lua_Integer)(e->names.length / sizeof *name) * 2;
    lua_rawseti(L, MEMBERS, name->place);
    lua_pushvalue(L, -1);
    lua_rawseti(L, MEMBERS, name->place - 1);
  } while (lua_next(L, index));
  size_t count = (e->names.length - before) / sizeof(member_name);
  sort_names((member_name *)(void *)(e->names.data + before), count);
}

/* The first key and value of the table are on the stack.  [-2, +0] */
static void write_object(encoder *e, int index, qhub_json_step *step, qhub_json_mark kind) {
  lua_State *L = e->L;
  size_t first = e->names.length;
  collect_members(e, index, step, kind);
  size_t end = e->names.length;
  write_char(e, '{');
  for (size_t at = first; at < end; at += sizeof(member_name)) {
    member_name name; /* a copy: the stack moves when names are added to it */
    memcpy(&name, e->names.data + at, sizeof name);
    step->name = name.bytes;
    step->name_length = name.length;
    if (at > first) write_char(e, ',');
    write_line(e, step->depth);
    write_string(e, name.bytes, name.length, step,
                 "the name of the member is not valid UTF-8 (byte %I)");
    write_char(e, ':');
    if (e->indent > 0) write_char(e, ' ');
    lua_rawgeti(L, MEMBERS, name.place);
    write_value(e, lua_gettop(L), step);
    lua_pop(L, 1);
  }
  e->names.length = first;
  write_line(e, step->depth - 1);
  write_char(e, '}');
}

/* `outer` stands at this table; it is NULL for the outermost one.  [-0, +0] */
static void write_table(encoder *e, int index, const qhub_json_step *outer) {
  lua_State *L = e->L;
  qhub_json_step step = {
    .outer = outer,
    .table = lua_topointer(L, index),
    .depth = outer != NULL ? outer->depth + 1 : 1,
  };
  for (const qhub_json_step *same = outer; same != NULL; same = same->outer) {
    if (same->table == step.table) qhub_json_refuse_cycle(L, outer, same);
  }
  if (step.depth > QHUB_JSON_MAX_DEPTH) {
    qhub_json_refuse(L, outer, "tables are nested more than %d deep", QHUB_JSON_MAX_DEPTH);
  }
  luaL_checkstack(L, 12, "not enough memory for nested JSON");
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

/* The value and the encoder, as a light userdata, are on the stack.  [-0, +1] */
static int encode_protected(lua_State *L) {
  encoder *e = lua_touserdata(L, 2);
  grow(e, 0);
  lua_newtable(L); /* at MEMBERS */
  write_value(e, 1, NULL);
  lua_pushlstring(L, e->text.data, (size_t)(e->at - e->text.data));
  return 1;
}

int qhub_json_encode(lua_State *L) {
  luaL_checkany(L, 1);
  encoder e = {
    .L = L,
    .array_mark = lua_topointer(L, lua_upvalueindex(QHUB_JSON_ARRAY_MARK)),
    .object_mark = lua_topointer(L, lua_upvalueindex(QHUB_JSON_OBJECT_MARK)),
    .indent = (int)luaL_optinteger(L, 2, 0),
  };
  qhub_buffer_init(&e.text, PTRDIFF_MAX);
  qhub_buffer_init(&e.names, PTRDIFF_MAX);
  lua_pushcfunction(L, encode_protected);
  lua_pushvalue(L, 1);
  lua_pushlightuserdata(L, &e);
  int status = lua_pcall(L, 2, 1, 0);
  qhub_buffer_free(&e.text);
  qhub_buffer_free(&e.names);
  return status == LUA_OK ? 1 : lua_error(L);
}
