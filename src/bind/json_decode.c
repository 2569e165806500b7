/*
** core.json.decode: a JSON text becomes Lua values in one pass, losing nothing; core.json.members
** reads a few members of an object and builds nothing else.
**
** Takes the tokens of the scanner (json/scan.h) as they come. The first items of a container are
** collected on the Lua stack, so that a small table is created with the size it needs; the items
** of a larger one go into the table one by one. Holds no memory but what Lua holds for it, so
** Lua may raise at any point.
*/
#include "json.h"

#include "../json/scan.h"
#include "../text/ascii.h"
#include "../text/utf8.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

enum {
  COLLECTED = 32,  /* items on the stack before their table is created */
  MOST_MEMBERS = 4 /* names that `members` takes */
};

typedef struct {
  lua_State *L;
  qhub_json_scanner scanner;
} decoder;

/* The string has an escape. Not inlined: the buffer must not be part of the frame of a function
** that calls itself.  [-0, +1] */
__attribute__((noinline)) static void push_unescaped(lua_State *L,
                                                     const qhub_json_scanner *scanner) {
  luaL_Buffer buffer;
  char *room = luaL_buffinitsize(L, &buffer, (size_t)(scanner->stop - scanner->start));
  luaL_pushresultsize(&buffer, qhub_json_unescape(scanner->start, scanner->stop, room));
}

/* [-0, +1] */
static void push_string(lua_State *L, const qhub_json_scanner *scanner) {
  if (scanner->escaped) {
    push_unescaped(L, scanner);
  } else {
    lua_pushlstring(L, scanner->start, (size_t)(scanner->stop - scanner->start));
  }
}

static void push_number(lua_State *L, const qhub_number *number) {
  if (number->kind == QHUB_NUMBER_INTEGER) {
    lua_pushinteger(L, number->integer);
  } else {
    lua_pushnumber(L, number->real);
  }
}

/* Makes the items above `table` the array there.  [-count, +0] */
static void create_array(lua_State *L, int table, int count) {
  lua_createtable(L, count, 0);
  lua_pushvalue(L, lua_upvalueindex(QHUB_JSON_ARRAY_MARK));
  lua_setmetatable(L, -2);
  lua_replace(L, table);
  for (; count > 0; count--) lua_rawseti(L, table, count);
}

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

/* Pushes the value that is `token`; false, with nothing pushed, for any other token.  [-0, +1] */
static bool push_scalar(lua_State *L, const qhub_json_scanner *scanner, qhub_json_token token) {
  switch (token) {
    case QHUB_JSON_STRING: push_string(L, scanner); return true;
    case QHUB_JSON_NUMBER: push_number(L, &scanner->number); return true;
    case QHUB_JSON_TRUE: lua_pushboolean(L, 1); return true;
    case QHUB_JSON_FALSE: lua_pushboolean(L, 0); return true;
    case QHUB_JSON_NULL: lua_pushlightuserdata(L, NULL); return true;
    default: return false;
  }
}

/* Pushes the value that begins with `token`. After an error returns false, with any number of
** values on the stack.  [-0, +1] */
static bool push_value(decoder *d, qhub_json_token token); // NOLINT(misc-no-recursion)

static bool push_array(decoder *d) {
  lua_State *L = d->L;
  lua_Integer count = 0;
  lua_pushnil(L);
  int table = lua_gettop(L);
  for (;;) {
    qhub_json_token token = qhub_json_next(&d->scanner);
    if (token == QHUB_JSON_CLOSE) break;
    if (!push_value(d, token)) return false;
    count++;
    if (count > COLLECTED) {
      lua_rawseti(L, table, count);
    } else if (count == COLLECTED) {
      create_array(L, table, COLLECTED);
    }
  }
  if (count < COLLECTED) create_array(L, table, (int)count);
  return true;
}

static bool push_object(decoder *d) {
  lua_State *L = d->L;
  int count = 0;
  lua_pushnil(L);
  int table = lua_gettop(L);
  while (qhub_json_next(&d->scanner) == QHUB_JSON_NAME) {
    push_string(L, &d->scanner);
    if (!push_value(d, qhub_json_next(&d->scanner))) return false;
    count++;
    if (count > COLLECTED) {
      lua_rawset(L, table);
    } else if (count == COLLECTED) {
      create_object(L, table, COLLECTED);
    }
  }
  if (d->scanner.problem != NULL) return false;
  if (count < COLLECTED) create_object(L, table, count);
  return true;
}

static bool push_value(decoder *d, qhub_json_token token) {
  if (token != QHUB_JSON_OPEN_ARRAY && token != QHUB_JSON_OPEN_OBJECT) {
    return push_scalar(d->L, &d->scanner, token);
  }
  luaL_checkstack(d->L, 2 * COLLECTED + 8, "not enough memory for nested JSON");
  return token == QHUB_JSON_OPEN_ARRAY ? push_array(d) : push_object(d);
}

/* Describes the byte or character where the text goes wrong.  [-0, +1] */
static void push_found(lua_State *L, const qhub_json_scanner *scanner) {
  static const char hex[] = "0123456789ABCDEF";
  const char *position = scanner->position;
  size_t sequence = qhub_utf8_sequence(position, (size_t)(scanner->end - position));
  if (position == scanner->end) {
    lua_pushliteral(L, "the end of the text");
  } else if (sequence == 0 || qhub_is_control(*position)) {
    unsigned char byte = (unsigned char)*position;
    lua_pushfstring(L, "byte 0x%c%c", hex[byte >> 4], hex[byte & 15]);
  } else {
    lua_pushliteral(L, "'");
    lua_pushlstring(L, position, sequence);
    lua_pushliteral(L, "'");
    lua_concat(L, 3);
  }
}

int qhub_json_push_failure(lua_State *L, const qhub_json_scanner *scanner) {
  size_t line, column;
  qhub_json_where(scanner, &line, &column);
  lua_pushnil(L);
  if (scanner->unexpected) {
    push_found(L, scanner);
    lua_pushfstring(L, "expected %s, found %s", scanner->problem, lua_tostring(L, -1));
    lua_remove(L, -2);
  } else {
    lua_pushstring(L, scanner->problem);
  }
  lua_pushinteger(L, (lua_Integer)line);
  lua_pushinteger(L, (lua_Integer)column);
  return 4;
}

int qhub_json_decode(lua_State *L) {
  decoder d;
  size_t length;
  luaL_checktype(L, 1, LUA_TSTRING);
  const char *text = lua_tolstring(L, 1, &length);
  d.L = L;
  qhub_json_begin(&d.scanner, text, length, lua_toboolean(L, 2));
  if (push_value(&d, qhub_json_next(&d.scanner)) && qhub_json_next(&d.scanner) == QHUB_JSON_END) {
    return 1;
  }
  lua_settop(L, 1);
  return qhub_json_push_failure(L, &d.scanner);
}

/* ---- members ------------------------------------------------------------------------------ */

typedef struct {
  const char *bytes;
  size_t length;
} name;

/* The place among `names` of the name that the scanner is after; -1 when it is none of them. */
static int find_name(const qhub_json_scanner *scanner, const name *names, int count) {
  size_t length = (size_t)(scanner->stop - scanner->start);
  for (int i = 0; i < count; i++) {
    if (names[i].length == length && memcmp(names[i].bytes, scanner->start, length) == 0) return i;
  }
  return -1;
}

/* Puts the values of the members `names` at `values` and the indices after it. False when the text
** is not valid, or not one that can be read in this way.  [-0, +0] */
static bool read_members(lua_State *L, qhub_json_scanner *scanner, const name *names, int count,
                         int values) {
  if (qhub_json_next(scanner) != QHUB_JSON_OPEN_OBJECT) return false;
  for (;;) {
    qhub_json_token token = qhub_json_next(scanner);
    if (token == QHUB_JSON_END) return true;
    if (token == QHUB_JSON_ERROR) return false;
    if (token != QHUB_JSON_NAME || scanner->depth > 1) continue;
    if (scanner->escaped) return false; /* it may stand for one of `names` */
    int place = find_name(scanner, names, count);
    if (place < 0) continue;
    if (!push_scalar(L, scanner, qhub_json_next(scanner))) return false;
    lua_replace(L, values + place);
  }
}

int qhub_json_members(lua_State *L) {
  enum { TEXT = 1, ACCEPT_NAN, FIRST };
  name names[MOST_MEMBERS];
  qhub_json_scanner scanner;
  size_t length;
  luaL_checktype(L, TEXT, LUA_TSTRING);
  const char *text = lua_tolstring(L, TEXT, &length);
  int result = lua_gettop(L) + 1;
  int count = result - FIRST;
  luaL_argcheck(L, count > 0 && count <= MOST_MEMBERS, FIRST, "one to four names expected");
  for (int i = 0; i < count; i++) {
    names[i].bytes = luaL_checklstring(L, FIRST + i, &names[i].length);
  }
  lua_pushboolean(L, 1);
  lua_settop(L, result + count);
  qhub_json_begin(&scanner, text, length, lua_toboolean(L, ACCEPT_NAN));
  if (read_members(L, &scanner, names, count, result + 1)) return 1 + count;
  lua_pushboolean(L, 0);
  return 1;
}
