/*
** core.json.encode with values that the input describes: what it writes must decode to the same
** value to the last bit, and what it refuses it must refuse for a reason.
**
** The input is a program of one-byte instructions for a value (see `build`). Values that JSON
** cannot hold are part of it.
** `make fuzz` builds and runs it; see fuzz/README.md.
*/
#include "json_fuzz.h"

#include "text/characters.h"

#include <math.h>

enum { DEEPEST = 60, WIDEST = 40 };

typedef struct {
  const uint8_t *next;
  const uint8_t *end;
  bool has_bad;    /* something that must be refused was put into the value */
  bool may_be_bad; /* whether it must be refused cannot be told from here */
} program;

static bool is_utf8(const char *text, size_t length) {
  while (length > 0) {
    size_t bytes = qhub_utf8_sequence(text, length);
    if (bytes == 0) return false;
    text += bytes;
    length -= bytes;
  }
  return true;
}

static uint8_t byte_of(program *p) {
  return p->next < p->end ? *p->next++ : 0;
}

static uint64_t word_of(program *p) {
  uint64_t word = 0;
  for (int i = 0; i < 8; i++) word = word << 8 | byte_of(p);
  return word;
}

/* [-0, +1] */
static void push_text(lua_State *L, program *p) {
  size_t length = byte_of(p) % 32;
  if (length > (size_t)(p->end - p->next)) length = (size_t)(p->end - p->next);
  if (!is_utf8((const char *)p->next, length)) p->has_bad = true;
  lua_pushlstring(L, (const char *)p->next, length);
  p->next += length;
}

static void push_number(lua_State *L, program *p, bool integer) {
  uint64_t word = word_of(p);
  double number;
  memcpy(&number, &word, sizeof number);
  if (integer) {
    lua_pushinteger(L, (lua_Integer)word);
  } else {
    if (!isfinite(number)) p->has_bad = true;
    lua_pushnumber(L, number);
  }
}

static void mark(lua_State *L, const char *kind) {
  lua_getfield(L, JSON, kind);
  lua_pushvalue(L, -2);
  lua_call(L, 1, 0);
}

static void build(lua_State *L, program *p, int depth);

/* Items in order, or by keys of all kinds. */
static void build_table(lua_State *L, program *p, int depth) {
  uint8_t form = byte_of(p);
  int count = byte_of(p) % WIDEST;
  lua_newtable(L);
  luaL_checkstack(L, 10, NULL);
  for (int i = 1; i <= count && p->next < p->end; i++) {
    switch (form % 4) {
      case 0: lua_pushinteger(L, i); break;
      case 1: push_text(L, p); break;
      case 2:
        p->may_be_bad = true;
        lua_pushinteger(L, byte_of(p) % 8);
        break;
      default:
        p->may_be_bad = true;
        build(L, p, DEEPEST);
        if (lua_type(L, -1) == LUA_TNUMBER && isnan(lua_tonumber(L, -1))) {
          lua_pop(L, 1);
          lua_pushboolean(L, 1);
        }
    }
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TNIL) p->may_be_bad = true; /* what is replaced may be bad */
    lua_pop(L, 1);
    build(L, p, depth + 1);
    lua_rawset(L, -3);
  }
  if (form % 16 == 4 || form % 16 == 5) {
    /* marked; as what it is not when it has items of the other kind */
    lua_pushnil(L);
    bool empty = !lua_next(L, -2);
    if (!empty) lua_pop(L, 2);
    mark(L, form % 16 == 4 ? "array" : "object");
    if (form % 16 == 5 && !empty) p->may_be_bad = true;
  }
}

/* [-0, +1] */
static void build(lua_State *L, program *p, int depth) {
  switch (byte_of(p) % 12) {
    case 0: lua_pushlightuserdata(L, NULL); break;
    case 1: lua_pushboolean(L, byte_of(p) & 1); break;
    case 2: push_number(L, p, true); break;
    case 3:
    case 4: push_number(L, p, false); break;
    case 5: lua_pushinteger(L, (int8_t)byte_of(p)); break;
    case 6: lua_pushnumber(L, (double)(int16_t)(word_of(p) >> 48) / 8); break;
    case 7: push_text(L, p); break;
    case 8:
      p->has_bad = true;
      lua_pushcfunction(L, qhub_open_json);
      break;
    default:
      if (depth < DEEPEST) {
        build_table(L, p, depth);
      } else {
        lua_pushinteger(L, depth);
      }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lua_State *L = fresh_state();
  program p = {data, data + size, false, false};
  build(L, &p, 0);
  int value = lua_gettop(L);
  if (!encode(L, value)) {
    if (!p.has_bad && !p.may_be_bad) fail("refused", lua_tostring(L, -1));
    return 0;
  }
  size_t length;
  const char *text = lua_tolstring(L, -1, &length);
  if (p.has_bad && !p.may_be_bad) fail("accepted what JSON cannot hold", text);
  if (!is_utf8(text, length)) fail("not UTF-8", text);
  if (!decode(L, text, length)) fail("what was encoded is not decoded", text);
  if (!same(L, value, lua_gettop(L))) fail("changed on the way", text);
  return 0;
}
