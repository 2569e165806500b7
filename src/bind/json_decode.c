/*
** core.json.decode: a JSON text becomes Lua values in one pass, losing nothing; core.json.members
** reads a few members of an object and keeps nothing else.
**
** Strict (RFC 8259), and stricter than the RFC asks in four points: nesting and the number of
** values are limited, numbers beyond a double are refused, and so are lone surrogates.
**
** The first items of a container are collected on the Lua stack, so that a small table is created
** with the size it needs; the items of a larger one go into the table one by one. Holds no memory
** but what Lua holds for it, so Lua may raise at any point. Relies on the NUL that Lua puts after
** every string: no token has one, so that nothing is read beyond it.
*/
#include "json.h"

#include "../text/characters.h"
#include "../text/json_string.h"
#include "../text/number.h"

#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum {
  /* So that a hostile text does not take gigabytes as tables: 64 MiB of ordinary JSON have fewer.
  ** An array or object takes as much memory as several numbers, and counts as that many. */
  MOST_VALUES = 16 * 1024 * 1024,
  CONTAINER_WEIGHT = 4,
  COLLECTED = 32 /* items on the stack before their table is created */
};

/* After an error `problem` is set, and the functions below return false. */
typedef struct {
  lua_State *L;
  const char *text;
  const char *end;
  const char *position; /* where to read on; after an error, where it is */
  const char *problem;  /* NULL: no error; "expected ...": what is there is named after it */
  bool accept_nan;      /* NaN, Infinity and -Infinity are numbers, too */
  int depth;            /* open containers */
  int values_left;      /* of MOST_VALUES */
} decoder;

static bool fail(decoder *d, const char *position, const char *problem) {
  d->position = position;
  d->problem = problem;
  return false;
}

static const char *skip_blanks(const char *text) {
  while (*text == ' ' || *text == '\n' || *text == '\r' || *text == '\t') text++;
  return text;
}

/* Moves past `word` if it is there. */
static bool skip_word(decoder *d, const char *word) {
  size_t length = strlen(word);
  if (strncmp(d->position, word, length) != 0) return false;
  d->position += length;
  return true;
}

/* ---- values ------------------------------------------------------------------------------ */

/* The string has an escape. Not inlined: the buffer must not be part of the frame of a function
** that calls itself.  [-0, +1] */
__attribute__((noinline)) static void push_unescaped(lua_State *L, const char *start,
                                                     const char *stop) {
  luaL_Buffer buffer;
  char *room = luaL_buffinitsize(L, &buffer, (size_t)(stop - start));
  luaL_pushresultsize(&buffer, qhub_json_unescape(start, stop, room));
}

/* Moves past a string. The position is at the opening quote. */
static bool read_string(decoder *d, qhub_json_string *string) {
  *string = qhub_json_string_read(d->position + 1, d->end);
  if (string->problem != NULL) return fail(d, string->stop, string->problem);
  d->position = string->stop + 1;
  return true;
}

/* Pushes a string that was read, of which `start` is the first byte.  [-0, +1] */
static void push_text(lua_State *L, const char *start, const qhub_json_string *string) {
  if (string->escaped) {
    push_unescaped(L, start, string->stop);
  } else {
    lua_pushlstring(L, start, (size_t)(string->stop - start));
  }
}

/* The position is at the opening quote.  [-0, +1] */
static bool push_string(decoder *d) {
  const char *start = d->position + 1;
  qhub_json_string string;
  if (!read_string(d, &string)) return false;
  push_text(d->L, start, &string);
  return true;
}

/* The position is at a digit or a minus sign.  [-0, +1] */
static bool push_number(decoder *d) {
  qhub_number number;
  const char *text = d->position;
  const char *end = qhub_number_read(text, &number);
  if (number.kind == QHUB_NUMBER_INTEGER) {
    lua_pushinteger(d->L, number.integer);
  } else if (number.kind == QHUB_NUMBER_REAL) {
    lua_pushnumber(d->L, number.real);
  } else if (d->accept_nan && skip_word(d, "-Infinity")) {
    lua_pushnumber(d->L, -HUGE_VAL);
    return true;
  } else if (number.kind == QHUB_NUMBER_TOO_LARGE) {
    return fail(d, text, "the number is too large for a double");
  } else if (qhub_is_digit(*end)) {
    return fail(d, end - 1, "a number must not have leading zeros");
  } else if (end[-1] == '.') {
    return fail(d, end, "expected a digit after the decimal point");
  } else {
    return fail(d, end, end - text == 1 ? "expected a digit" : "expected a digit of the exponent");
  }
  d->position = end;
  return true;
}

/* A value that begins in no other way.  [-0, +1] */
static bool push_word(decoder *d) {
  const char *text = d->position;
  if (skip_word(d, "true")) {
    lua_pushboolean(d->L, 1);
  } else if (skip_word(d, "false")) {
    lua_pushboolean(d->L, 0);
  } else if (skip_word(d, "null")) {
    lua_pushlightuserdata(d->L, NULL);
  } else if (d->accept_nan && skip_word(d, "NaN")) {
    lua_pushnumber(d->L, NAN);
  } else if (d->accept_nan && skip_word(d, "Infinity")) {
    lua_pushnumber(d->L, HUGE_VAL);
  } else if (text == d->end && d->depth == 0) {
    return fail(d, text, "the text is empty or blank");
  } else if (text == d->text && skip_word(d, "\xEF\xBB\xBF")) {
    return fail(d, text, "JSON must not start with a byte order mark");
  } else {
    return fail(d, text, "expected a value");
  }
  return true;
}

static bool open_container(decoder *d) {
  if (d->depth == QHUB_JSON_MAX_DEPTH) {
    return fail(d, d->position, "arrays and objects are nested more than 1000 deep");
  }
  luaL_checkstack(d->L, 2 * COLLECTED + 8, "not enough memory for nested JSON");
  d->depth++;
  d->values_left -= CONTAINER_WEIGHT - 1;
  d->position++;
  return true;
}

/* Moves to the next item of a container, of which `count` were read, or past `close`, which ends
** it. Returns whether there is an item; not after an error. */
static bool next_item(decoder *d, char close, lua_Integer count) {
  const char *text = skip_blanks(d->position);
  if (*text == close) {
    d->depth--;
    d->position = text + 1;
    return false;
  }
  if (count > 0 && *text != ',') {
    return fail(d, text, close == ']' ? "expected ',' or ']'" : "expected ',' or '}'");
  }
  d->position = count > 0 ? skip_blanks(text + 1) : text;
  return true;
}

/* Makes the items above `table` the array there.  [-count, +0] */
static void create_array(lua_State *L, int table, int count) {
  lua_createtable(L, count, 0);
  lua_pushvalue(L, lua_upvalueindex(QHUB_JSON_ARRAY_MARK));
  lua_setmetatable(L, -2);
  lua_replace(L, table);
  for (; count > 0; count--) lua_rawseti(L, table, count);
}

/* Pushes the value at the position or after blanks. After an error there is any number of values on
** the stack.  [-0, +1] */
static bool push_value(decoder *d); // NOLINT(misc-no-recursion)

/* Makes the names and values above `table` the object there, in their order, for the last of
** several members of one name wins.  [-2 * count, +0] */
static void create_object(lua_State *L, int table, int count) {
  lua_createtable(L, 0, count);
  lua_replace(L, table);
  for (int name = table + 1; name < table + 2 * count; name += 2) {
    lua_pushvalue(L, name);
    lua_pushvalue(L, name + 1);
    lua_rawset(L, table);
  }
  lua_settop(L, table);
}

/* Moves past the name of a member and the colon. */
static bool read_name(decoder *d, qhub_json_string *name) {
  if (*d->position != '"') return fail(d, d->position, "expected a member's name in double quotes");
  if (!read_string(d, name)) return false;
  d->position = skip_blanks(d->position);
  if (!skip_word(d, ":")) return fail(d, d->position, "expected ':' after the member's name");
  return true;
}

/* [-0, +2] */
static bool push_member(decoder *d) {
  const char *start = d->position + 1;
  qhub_json_string name;
  if (!read_name(d, &name)) return false;
  push_text(d->L, start, &name);
  return push_value(d);
}

/* Pushes the array or object at the position, which `close` ends.  [-0, +1] */
static bool push_container(decoder *d, char close) {
  lua_State *L = d->L;
  bool is_object = close == '}';
  void (*create)(lua_State *, int, int) = is_object ? create_object : create_array;
  lua_Integer count = 0;
  if (!open_container(d)) return false;
  lua_pushnil(L);
  int table = lua_gettop(L);
  while (next_item(d, close, count)) {
    if (!(is_object ? push_member(d) : push_value(d))) return false;
    count++;
    if (count == COLLECTED) {
      create(L, table, COLLECTED);
    } else if (count > COLLECTED && is_object) {
      lua_rawset(L, table);
    } else if (count > COLLECTED) {
      lua_rawseti(L, table, count);
    }
  }
  if (count < COLLECTED) create(L, table, (int)count);
  return d->problem == NULL;
}

/* Moves to the value at the position or after blanks, and counts it. */
static bool begin_value(decoder *d) {
  d->position = skip_blanks(d->position);
  return --d->values_left >= 0 ||
         fail(d, d->position,
              "the text has more than 16777216 values (an array or object counts as 4)");
}

/* The position is at a value that is neither a string, nor an array or object.  [-0, +1] */
static bool push_plain(decoder *d) {
  bool is_number = *d->position == '-' || qhub_is_digit(*d->position);
  return is_number ? push_number(d) : push_word(d);
}

static bool push_value(decoder *d) {
  if (!begin_value(d)) return false;
  switch (*d->position) {
    case '"': return push_string(d);
    case '[': return push_container(d, ']');
    case '{': return push_container(d, '}');
    default: return push_plain(d);
  }
}

/* ---- functions of core.json -------------------------------------------------------------- */

static decoder new_decoder(lua_State *L) {
  size_t length;
  luaL_checktype(L, 1, LUA_TSTRING);
  const char *text = lua_tolstring(L, 1, &length);
  return (decoder){
    .L = L,
    .text = text,
    .end = text + length,
    .position = text,
    .accept_nan = lua_toboolean(L, 2),
    .values_left = MOST_VALUES,
  };
}

/* Nothing but blanks may follow the value. */
static bool check_end(decoder *d) {
  const char *text = skip_blanks(d->position);
  return text == d->end || fail(d, text, "unexpected text after the value");
}

/* Pushes the problem, and what is there instead of what was expected.  [-0, +1] */
static void push_problem(const decoder *d) {
  char character[5] = "";
  const char *position = d->position;
  size_t length = qhub_utf8_sequence(position, (size_t)(d->end - position));
  if (strncmp(d->problem, "expected", strlen("expected")) != 0) {
    lua_pushstring(d->L, d->problem);
  } else if (position == d->end) {
    lua_pushfstring(d->L, "%s, found the end of the text", d->problem);
  } else if (length == 0 || qhub_is_control(*position)) {
    static const char hex[] = "0123456789ABCDEF";
    unsigned char byte = (unsigned char)*position;
    lua_pushfstring(d->L, "%s, found byte 0x%c%c", d->problem, hex[byte >> 4], hex[byte & 15]);
  } else {
    memcpy(character, position, length);
    lua_pushfstring(d->L, "%s, found '%s'", d->problem, character);
  }
}

void qhub_json_push_place(lua_State *L, const char *text, const char *position) {
  lua_Integer line = 1, column = 1;
  for (; text < position; text++) {
    if (*text == '\n') {
      line++;
      column = 1;
    } else if (!qhub_utf8_is_continuation(*text)) {
      column++;
    }
  }
  lua_pushinteger(L, line);
  lua_pushinteger(L, column);
}

int qhub_json_decode(lua_State *L) {
  decoder d = new_decoder(L);
  if (push_value(&d) && check_end(&d)) return 1;
  lua_settop(L, 1);
  luaL_pushfail(L);
  push_problem(&d);
  qhub_json_push_place(L, d.text, d.position);
  return 4;
}

/* Moves past a value that nobody wants, as push_value does, but makes no string and no table. After
** an error there may be one value on the stack.  [-0, +0] */
static bool skip_value(decoder *d) { // NOLINT(misc-no-recursion)
  qhub_json_string string;
  if (!begin_value(d)) return false;
  char open = *d->position;
  if (open == '"') return read_string(d, &string);
  if (open != '[' && open != '{') {
    if (!push_plain(d)) return false;
    lua_pop(d->L, 1);
    return true;
  }
  if (!open_container(d)) return false;
  for (lua_Integer count = 0; next_item(d, open == '[' ? ']' : '}', count); count++) {
    if ((open == '{' && !read_name(d, &string)) || !skip_value(d)) return false;
  }
  return d->problem == NULL;
}

/* The last of the `count` strings from index `first` on that is the name which was read; 0: none.
** [-0, +0 or 1] */
static int find_name(lua_State *L, int first, int count, const char *start,
                     const qhub_json_string *name) {
  size_t length = (size_t)(name->stop - start);
  if (name->escaped) {
    push_text(L, start, name);
    start = lua_tolstring(L, -1, &length);
  }
  for (int i = first + count - 1; i >= first; i--) {
    if (lua_rawlen(L, i) == length && memcmp(start, lua_tostring(L, i), length) == 0) return i;
  }
  return 0;
}

int qhub_json_members(lua_State *L) {
  enum { FIRST_NAME = 3 };
  decoder d = new_decoder(L);
  int result = lua_gettop(L) + 1;
  int count = result - FIRST_NAME;
  lua_pushboolean(L, 1);
  lua_settop(L, result + count);
  d.position = skip_blanks(d.position);
  bool valid = *d.position == '{' && open_container(&d);
  for (int before = 0; valid && next_item(&d, '}', before); before++) {
    const char *start = d.position + 1;
    qhub_json_string name;
    valid = read_name(&d, &name);
    int index = valid ? find_name(L, FIRST_NAME, count, start, &name) : 0;
    valid = valid && (index > 0 ? push_value(&d) : skip_value(&d));
    if (valid && index > 0) lua_copy(L, -1, result + 1 + index - FIRST_NAME);
    lua_settop(L, result + count);
  }
  if (valid && d.problem == NULL && check_end(&d)) return 1 + count;
  lua_pushboolean(L, 0);
  return 1;
}
