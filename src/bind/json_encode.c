/*
** core.json.encode: Lua values become a JSON text that decodes to the same values.
**
** A table with the keys 1 to n and no other is an array, every other one an object; marks (json.c)
** decide for empty tables and make the encoder check the rest. Tables are read raw: no metamethod
** runs, so nothing changes under the encoder. What JSON cannot hold is refused with its path.
**
** The text grows in a buffer in C memory that a box on the stack owns, because Lua may raise in the
** midst of it. Knows nothing of decoding.
*/
#include "json.h"

#include "../text/buffer.h"
#include "../text/number.h"
#include "../json/scan.h"
#include "../text/printable.h"
#include "../text/utf8.h"
#include "execution.h"
#include "json_path.h"

#include <assert.h>
#include <float.h>
#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static_assert(sizeof(lua_Integer) == sizeof(int64_t) && sizeof(lua_Number) == sizeof(double),
              "Lua's numbers must be 64-bit integers and doubles");

typedef struct {
  lua_State *L;
  qhub_buffer *text;         /* owned by the box */
  const void *array_mark;    /* identities of the metatables that are marks */
  const void *object_mark;
} encoder;

typedef enum { UNMARKED, ARRAY, OBJECT } mark;

/* ---- output ------------------------------------------------------------------------------ */

/* Room for `extra` more bytes of text. The caller adds what it wrote to the buffer's length. */
static char *reserve(encoder *e, size_t extra) {
  qhub_buffer *text = e->text;
  char *room;
  if (text->capacity - text->length >= extra) return text->data + text->length;
  if (qhub_buffer_reserve(text, extra, &room) != QHUB_BUFFER_OK) {
    lua_pushliteral(e->L, "not enough memory");
    lua_error(e->L);
  }
  return room;
}

static void write_char(encoder *e, char byte) {
  *reserve(e, 1) = byte;
  e->text->length++;
}

static void write_bytes(encoder *e, const char *bytes, size_t length) {
  memcpy(reserve(e, length), bytes, length);
  e->text->length += length;
}

/* ---- refusals ---------------------------------------------------------------------------- */

/* Pushes how a key is shown in a message: "name" in quotes, or the number as it is.  [-0, +1] */
static void push_shown_key(lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TSTRING) {
    char shown[QHUB_PRINTABLE_SIZE];
    size_t length;
    const char *name = lua_tolstring(L, index, &length);
    qhub_printable(name, length, shown);
    lua_pushfstring(L, "\"%s\"", shown);
  } else if (lua_isinteger(L, index)) {
    lua_pushfstring(L, "%I", (LUAI_UACINT)lua_tointeger(L, index));
  } else if (lua_type(L, index) == LUA_TNUMBER) {
    lua_pushfstring(L, "%f", (LUAI_UACNUMBER)lua_tonumber(L, index));
  } else {
    lua_pushfstring(L, "(a %s)", luaL_typename(L, index));
  }
}

/* The key on top of the stack does not belong into the table that `step` stands at. */
static int refuse_key(encoder *e, const qhub_json_step *step, mark kind) {
  lua_State *L = e->L;
  int key = lua_gettop(L);
  bool is_name = lua_type(L, key) == LUA_TSTRING;
  bool is_index = lua_isinteger(L, key);
  push_shown_key(L, key);
  const char *shown = lua_tostring(L, -1);
  if (kind == ARRAY && (is_name || is_index)) {
    lua_pushfstring(L, "the table is marked as an array but has the key %s; an array has the keys "
                       "1 to n only", shown);
  } else if (kind == OBJECT && is_index) {
    lua_pushfstring(L, "the table is marked as an object but has the key %s, which is no string; "
                       "use tostring(key), or mark it as an array", shown);
  } else if (is_name || is_index) {
    lua_pushfstring(L, "the table has array items and named members (key %s) at once; JSON has "
                       "arrays and objects only, so put one of them into a table of its own",
                    shown);
  } else {
    lua_pushfstring(L, "the key %s is no string; JSON has names only, so use tostring(key) or "
                       "leave it out", shown);
  }
  return qhub_json_raise_at(L, step);
}

/* The value at the index cannot be written at all. */
static int refuse_type(encoder *e, const qhub_json_step *step, int index) {
  lua_State *L = e->L;
  const char *name = luaL_typename(L, index);
  if (lua_isnil(L, index)) {
    lua_pushliteral(L, "nil cannot be written as JSON; use qhub.json.null for a null");
  } else if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) {
    lua_pushfstring(L, "a %s (%s) cannot be written as JSON; write what it stands for", name,
                    lua_tostring(L, -1));
  } else {
    lua_pushfstring(L, "a %s cannot be written as JSON; remove it or write what it stands for",
                    name);
  }
  return qhub_json_raise_at(L, step);
}

static int refuse_number(encoder *e, const qhub_json_step *step, double value) {
  lua_pushfstring(e->L, "%s cannot be written as JSON, which has finite numbers only; use "
                        "qhub.json.null or a string",
                  isnan(value) ? "NaN" : value > 0 ? "infinity" : "-infinity");
  return qhub_json_raise_at(e->L, step);
}

/* `step` stands at a table that is one of the tables around it. */
static int refuse_cycle(encoder *e, const qhub_json_step *step, const qhub_json_step *same) {
  qhub_json_push_path(e->L, same->outer);
  lua_pushfstring(e->L, "the table contains itself (it is %s as well); JSON has no references, so "
                        "remove it or write a copy without it", lua_tostring(e->L, -1));
  return qhub_json_raise_at(e->L, step);
}

/* ---- strings ----------------------------------------------------------------------------- */

/* Writes the escape of a control character, a quote or a backslash. */
static void write_escape(encoder *e, char byte) {
  static const char letters[] = "\"\\\b\f\n\r\t";
  static const char names[] = "\"\\bfnrt";
  static const char hex[] = "0123456789abcdef";
  char *out = reserve(e, 6);
  const char *letter = byte != '\0' ? strchr(letters, byte) : NULL;
  out[0] = '\\';
  if (letter != NULL) {
    out[1] = names[letter - letters];
    e->text->length += 2;
    return;
  }
  memcpy(out + 1, "u00", 3);
  out[4] = hex[(unsigned char)byte >> 4];
  out[5] = hex[(unsigned char)byte & 15];
  e->text->length += 6;
}

/* How many bytes at the start of `text` are valid UTF-8 that needs no escape. */
static size_t verbatim_run(const char *text, size_t length) {
  size_t run = qhub_json_plain_run(text, length);
  while (run < length && (unsigned char)text[run] >= 0x80) {
    size_t sequence = qhub_utf8_sequence(text + run, length - run);
    if (sequence == 0) break;
    run += sequence;
    run += qhub_json_plain_run(text + run, length - run);
  }
  return run;
}

/* Writes the string at `index` (of type string) in quotes. Returns 0, or the place (from 1) of the
** byte that is no UTF-8. */
static size_t write_string(encoder *e, int index) {
  size_t length;
  const char *text = lua_tolstring(e->L, index, &length);
  size_t done = 0;
  write_char(e, '"');
  for (;;) {
    size_t run = verbatim_run(text + done, length - done);
    write_bytes(e, text + done, run);
    done += run;
    if (done == length) break;
    if ((unsigned char)text[done] >= 0x80) return done + 1;
    write_escape(e, text[done++]);
  }
  write_char(e, '"');
  return 0;
}

/* ---- values ------------------------------------------------------------------------------ */

static void write_table(encoder *e, int index, const qhub_json_step *outer);

static void write_number(encoder *e, int index, const qhub_json_step *step) {
  char *out = reserve(e, QHUB_NUMBER_SIZE);
  if (lua_isinteger(e->L, index)) {
    e->text->length += qhub_number_write_integer(lua_tointeger(e->L, index), out);
    return;
  }
  double value = lua_tonumber(e->L, index);
  if (!isfinite(value)) refuse_number(e, step, value);
  e->text->length += qhub_number_write(value, out);
}

/* Writes the value at `index` (absolute), which is the item that `step` stands at.  [-0, +0] */
static void write_value(encoder *e, int index, const qhub_json_step *step) {
  lua_State *L = e->L;
  switch (lua_type(L, index)) {
    case LUA_TNUMBER:
      write_number(e, index, step);
      break;
    case LUA_TSTRING: {
      size_t wrong = write_string(e, index);
      if (wrong > 0) {
        lua_pushfstring(L, "the string is not valid UTF-8 (byte %I); encode binary data as text, "
                           "for example as base64", (LUAI_UACINT)wrong);
        qhub_json_raise_at(L, step);
      }
      break;
    }
    case LUA_TBOOLEAN:
      if (lua_toboolean(L, index)) {
        write_bytes(e, "true", 4);
      } else {
        write_bytes(e, "false", 5);
      }
      break;
    case LUA_TTABLE:
      write_table(e, index, step);
      break;
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(L, index) != NULL) refuse_type(e, step, index);
      write_bytes(e, "null", 4);
      break;
    case LUA_TUSERDATA:
      if (!qhub_execution_push_raw(L, index)) refuse_type(e, step, index);
      write_value(e, lua_gettop(L), step);
      lua_pop(L, 1);
      break;
    default:
      refuse_type(e, step, index);
  }
}

/* ---- tables ------------------------------------------------------------------------------ */

static mark mark_of(const encoder *e, int index) {
  if (!lua_getmetatable(e->L, index)) return UNMARKED;
  const void *metatable = lua_topointer(e->L, -1);
  lua_pop(e->L, 1);
  if (metatable == e->array_mark) return ARRAY;
  return metatable == e->object_mark ? OBJECT : UNMARKED;
}

/* Looks at all keys of a table that must be an array; returns its length.  [-0, +0] */
static lua_Integer check_array(encoder *e, int index, qhub_json_step *step, mark kind) {
  lua_State *L = e->L;
  lua_Integer count = 0;
  lua_Integer highest = 0;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1) refuse_key(e, step->outer, kind);
    if (lua_tointeger(L, -1) > highest) highest = lua_tointeger(L, -1);
    count++;
  }
  if (count != highest) {
    lua_Integer hole = 1;
    while (lua_rawgeti(L, index, hole) != LUA_TNIL) {
      lua_pop(L, 1);
      hole++;
    }
    lua_pushfstring(L, "the array has a hole: item %I is missing, but there is an item %I; fill "
                       "holes with qhub.json.null, or make the keys strings for an object",
                    (LUAI_UACINT)hole, (LUAI_UACINT)highest);
    qhub_json_raise_at(L, step->outer);
  }
  return count;
}

/* Writes the items from `step->item` on up to `length`.  [-0, +0] */
static void write_items(encoder *e, int index, qhub_json_step *step, lua_Integer length) {
  for (; step->item <= length; step->item++) {
    if (step->item > 1) write_char(e, ',');
    lua_rawgeti(e->L, index, step->item);
    write_value(e, lua_gettop(e->L), step);
    lua_pop(e->L, 1);
  }
}

/* The first key and value of the table are on the stack. As long as the keys come in order, items
** are written as they come. A key out of order, or a table as an item, makes it look at all keys
** first: thereby no item is ever written twice but numbers and strings.  [-2, +0] */
static void write_array(encoder *e, int index, qhub_json_step *step, mark kind) {
  lua_State *L = e->L;
  int key = lua_gettop(L) - 1;
  write_char(e, '[');
  size_t start = e->text->length;
  do {
    step->item++;
    bool in_order = lua_isinteger(L, key) && lua_tointeger(L, key) == step->item;
    bool is_leaf = lua_type(L, key + 1) != LUA_TTABLE && lua_type(L, key + 1) != LUA_TUSERDATA;
    if (!in_order || !is_leaf) {
      if (!in_order) {
        e->text->length = start;
        step->item = 1;
      }
      lua_settop(L, key - 1);
      write_items(e, index, step, check_array(e, index, step, kind));
      break;
    }
    if (step->item > 1) write_char(e, ',');
    write_value(e, key + 1, step);
    lua_pop(L, 1);
  } while (lua_next(L, index));
  write_char(e, ']');
}

/* The first key and value of the table are on the stack.  [-2, +0] */
static void write_object(encoder *e, int index, qhub_json_step *step, mark kind) {
  lua_State *L = e->L;
  char before = '{';
  step->name = lua_gettop(L) - 1;
  do {
    if (lua_type(L, step->name) != LUA_TSTRING) {
      lua_pop(L, 1);
      refuse_key(e, step->outer, kind);
    }
    write_char(e, before);
    before = ',';
    if (write_string(e, step->name) > 0) {
      lua_pushliteral(L, "the name of the member is not valid UTF-8");
      qhub_json_raise_at(L, step);
    }
    write_char(e, ':');
    write_value(e, step->name + 1, step);
    lua_pop(L, 1);
  } while (lua_next(L, index));
  write_char(e, '}');
}

/* `outer` stands at this table; it is NULL for the outermost one.  [-0, +0] */
static void write_table(encoder *e, int index, const qhub_json_step *outer) {
  lua_State *L = e->L;
  int depth = outer != NULL ? outer->depth + 1 : 1;
  qhub_json_step step = {outer, lua_topointer(L, index), 0, 0, depth};
  for (const qhub_json_step *same = outer; same != NULL; same = same->outer) {
    if (same->table == step.table) refuse_cycle(e, outer, same);
  }
  if (depth > QHUB_JSON_MAX_DEPTH) {
    lua_pushfstring(L, "more than %d tables within each other", QHUB_JSON_MAX_DEPTH);
    qhub_json_raise_at(L, outer);
  }
  luaL_checkstack(L, 12, "not enough memory for nested JSON");
  mark kind = mark_of(e, index);
  lua_pushnil(L);
  if (!lua_next(L, index)) {
    write_bytes(e, kind == ARRAY ? "[]" : "{}", 2);
  } else if (kind == ARRAY || (kind == UNMARKED && lua_isinteger(L, -2))) {
    write_array(e, index, &step, kind);
  } else {
    write_object(e, index, &step, kind);
  }
}

int qhub_json_encode(lua_State *L) {
  encoder e;
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  e.L = L;
  e.text = lua_newuserdatauv(L, sizeof *e.text, 0);
  qhub_buffer_init(e.text, PTRDIFF_MAX);
  lua_pushvalue(L, lua_upvalueindex(QHUB_JSON_BOX));
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  e.array_mark = lua_topointer(L, lua_upvalueindex(QHUB_JSON_ARRAY_MARK));
  e.object_mark = lua_topointer(L, lua_upvalueindex(QHUB_JSON_OBJECT_MARK));
  write_value(&e, 1, NULL);
  lua_pushlstring(L, e.text->data, e.text->length);
  return 1;
}

/* __close, __gc: idempotent */
static int close_box(lua_State *L) {
  qhub_buffer_free(lua_touserdata(L, 1));
  return 0;
}

/* Lua may lack the memory to call __close; then the collector comes by later. */
static const luaL_Reg box_metamethods[] = {
  {"__close", close_box},
  {"__gc", close_box},
  {NULL, NULL},
};

void qhub_json_push_encode_box(lua_State *L) {
  luaL_newlib(L, box_metamethods);
}
