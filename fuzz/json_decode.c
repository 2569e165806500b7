/*
** core.json.decode against itself, against core.json.members, a second grammar and cJSON.
**
** The input is a text. It must be accepted exactly when the small recursive grammar below accepts
** it. What is accepted must survive encoding and decoding to the last bit; and cJSON must accept it
** as well, with the same structure, strings and (as doubles) numbers.
** `make fuzz` builds and runs it; see fuzz/README.md.
*/
#include "json_fuzz.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <math.h>

enum { CJSON_LONGEST_NUMBER = 63 };

/* The longest run of bytes that numbers consist of. */
static size_t longest_number(const char *text, size_t length) {
  size_t longest = 0, run = 0;
  for (size_t i = 0; i < length; i++) {
    run = strchr("0123456789+-.eE", text[i]) != NULL && text[i] != '\0' ? run + 1 : 0;
    if (run > longest) longest = run;
  }
  return longest;
}

/* Whether a later member of the same object has the same name. */
static bool is_overridden(const cJSON *member) {
  for (const cJSON *later = member->next; later != NULL; later = later->next) {
    if (strcmp(later->string, member->string) == 0) return true;
  }
  return false;
}

/* The value on top of the stack, and what cJSON read in the same place. */
static void compare(lua_State *L, const cJSON *node) {
  int index = lua_gettop(L);
  luaL_checkstack(L, 10, NULL);
  lua_Integer item = 0;
  switch (node->type & 0xFF) {
    case cJSON_NULL:
      if (!lua_islightuserdata(L, index)) fail("cJSON", "null");
      break;
    case cJSON_True:
    case cJSON_False:
      if (!lua_isboolean(L, index)) fail("cJSON", "boolean");
      if (lua_toboolean(L, index) != ((node->type & 0xFF) == cJSON_True)) fail("cJSON", "truth");
      break;
    case cJSON_Number:
      if (lua_type(L, index) != LUA_TNUMBER) fail("cJSON", "number");
      if (lua_tonumber(L, index) != node->valuedouble) fail("cJSON", "number's value");
      break;
    case cJSON_String:
      if (lua_type(L, index) != LUA_TSTRING) fail("cJSON", "string");
      if (strcmp(lua_tostring(L, index), node->valuestring) != 0) fail("cJSON", "string's value");
      break;
    case cJSON_Array:
      if (!is_array(L, index)) fail("cJSON", "array");
      cJSON_ArrayForEach(node, node) {
        lua_rawgeti(L, index, ++item);
        compare(L, node);
        lua_settop(L, index);
      }
      if ((lua_Integer)lua_rawlen(L, index) != item) fail("cJSON", "length");
      break;
    default:
      if (!lua_istable(L, index) || is_array(L, index)) fail("cJSON", "object");
      cJSON_ArrayForEach(node, node) {
        if (is_overridden(node)) continue;
        lua_pushstring(L, node->string);
        lua_rawget(L, index);
        compare(L, node);
        lua_settop(L, index);
      }
  }
}

/* The value at `index` was read from `text`. */
static void compare_with_cjson(lua_State *L, int index, const char *text, size_t length) {
  if (longest_number(text, length) > CJSON_LONGEST_NUMBER) return;
  const char *end = NULL;
  cJSON *tree = cJSON_ParseWithLengthOpts(text, length + 1, &end, 1);
  if (tree == NULL || end != text + length) fail("cJSON refuses", text);
  /* its strings end at a NUL */
  if (strstr(text, "\\u0000") == NULL) {
    lua_pushvalue(L, index);
    compare(L, tree);
    lua_settop(L, index);
  }
  cJSON_Delete(tree);
}

/* core.json.members accepts exactly the objects among the accepted texts, and finds what decode
** found. Half of the names are asked for, and the other members skipped. `decoded` is 0 when the
** text was refused. */
static void compare_with_members(lua_State *L, int decoded, const char *text, size_t length) {
  enum { MOST_NAMES = 8 };
  bool is_object = decoded != 0 && text[strspn(text, " \t\n\r")] == '{';
  int first = lua_gettop(L) + 1;
  luaL_checkstack(L, 2 * MOST_NAMES + LUA_MINSTACK, NULL);
  lua_pushliteral(L, "\xFF"); /* the name of no member */
  if (is_object) {
    lua_pushnil(L);
    for (int seen = 0; lua_next(L, decoded); seen++) {
      lua_pop(L, 1);
      if (seen % 2 == 0 && seen < 2 * MOST_NAMES) {
        lua_pushvalue(L, -1);
        lua_insert(L, -2);
      }
    }
  }
  int count = lua_gettop(L) + 1 - first;
  lua_getfield(L, JSON, "members");
  lua_pushlstring(L, text, length);
  lua_pushboolean(L, 0);
  for (int i = 0; i < count; i++) lua_pushvalue(L, first + i);
  if (lua_pcall(L, 2 + count, LUA_MULTRET, 0) != LUA_OK) fail("members", lua_tostring(L, -1));
  int result = first + count;
  if (lua_toboolean(L, result) != is_object) fail("members accepts or refuses alone", text);
  for (int i = 0; is_object && i < count; i++) {
    lua_pushvalue(L, first + i);
    lua_rawget(L, decoded);
    if (!same(L, lua_gettop(L), result + 1 + i)) fail("members found another value", text);
    lua_pop(L, 1);
  }
  lua_settop(L, first - 1);
}

/* ---- a second grammar, written after RFC 8259 and RFC 3629 alone -------------------------- */

static const char *skip(const char *at) {
  return at + strspn(at, " \t\n\r");
}

static long hex4(const char *at) {
  char digits[5] = {0};
  for (int i = 0; i < 4; i++) {
    if (!isxdigit((unsigned char)at[i])) return -1;
    digits[i] = at[i];
  }
  return strtol(digits, NULL, 16);
}

/* One character of a string; NULL: none. Each code point is decoded and its length checked. */
static const char *character(const char *at) {
  unsigned char byte = (unsigned char)*at;
  if (byte < 0x20 || byte == '"') return NULL;
  if (byte == '\\') {
    if (at[1] != 'u') return at[1] != 0 && strchr("\"\\/bfnrt", at[1]) != NULL ? at + 2 : NULL;
    long code = hex4(at + 2);
    if (code < 0 || (code >= 0xDC00 && code <= 0xDFFF)) return NULL;
    if (code < 0xD800 || code > 0xDFFF) return at + 6;
    if (at[6] != '\\' || at[7] != 'u') return NULL;
    code = hex4(at + 8);
    return code >= 0xDC00 && code <= 0xDFFF ? at + 12 : NULL;
  }
  if (byte < 0x80) return at + 1;
  int more = byte >= 0xF8 ? -1 : byte >= 0xF0 ? 3 : byte >= 0xE0 ? 2 : byte >= 0xC0 ? 1 : -1;
  if (more < 0) return NULL;
  static const unsigned long least[] = {0, 0x80, 0x800, 0x10000};
  unsigned long code = byte & (0x3Fu >> more);
  for (int i = 1; i <= more; i++) {
    if (((unsigned char)at[i] & 0xC0u) != 0x80u) return NULL;
    code = code << 6 | ((unsigned char)at[i] & 0x3Fu);
  }
  if (code < least[more] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return NULL;
  return at + more + 1;
}

static const char *string(const char *at) {
  if (*at++ != '"') return NULL;
  while (at != NULL && *at != '"') at = character(at);
  return at != NULL ? at + 1 : NULL;
}

static const char *number(const char *at) {
  static const char digits[] = "0123456789";
  const char *start = at;
  if (*at == '-') at++;
  size_t count = strspn(at, digits);
  if (count == 0 || (*at == '0' && count > 1)) return NULL;
  at += count;
  if (*at == '.') {
    count = strspn(++at, digits);
    if (count == 0) return NULL;
    at += count;
  }
  if (*at == 'e' || *at == 'E') {
    at++;
    if (*at == '+' || *at == '-') at++;
    count = strspn(at, digits);
    if (count == 0) return NULL;
    at += count;
  }
  return isinf(strtod(start, NULL)) ? NULL : at;
}

static const char *value(const char *at, int depth) {
  if (*at == '"') return string(at);
  if (strncmp(at, "true", 4) == 0 || strncmp(at, "null", 4) == 0) return at + 4;
  if (strncmp(at, "false", 5) == 0) return at + 5;
  if (*at != '[' && *at != '{') return number(at);
  if (depth == 1000) return NULL;
  char close = *at == '[' ? ']' : '}';
  at = skip(at + 1);
  if (*at == close) return at + 1;
  for (;;) {
    if (close == '}') {
      at = string(at);
      if (at == NULL) return NULL;
      at = skip(at);
      if (*at++ != ':') return NULL;
    }
    at = value(skip(at), depth + 1);
    if (at == NULL) return NULL;
    at = skip(at);
    if (*at == close) return at + 1;
    if (*at++ != ',') return NULL;
    at = skip(at);
  }
}

/* `text` has a NUL after it. */
static bool is_json(const char *text, size_t length) {
  const char *end = value(skip(text), 0);
  return end != NULL && skip(end) == text + length;
}

/* ------------------------------------------------------------------------------------------ */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lua_State *L = fresh_state();
  const char *text = lua_pushlstring(L, (const char *)data, size);
  bool accepted = decode(L, text, size);
  int decoded = lua_gettop(L);
  if (accepted != is_json(text, size)) fail("the grammars differ", text);
  compare_with_members(L, accepted ? decoded : 0, text, size);
  if (!accepted) return 0;
  compare_with_cjson(L, decoded, text, size);

  if (!encode(L, decoded)) fail("what was decoded is not encoded", lua_tostring(L, -1));
  size_t length;
  const char *again = lua_tolstring(L, -1, &length);
  if (!decode(L, again, length)) fail("what was encoded is not decoded", again);
  if (!same(L, decoded, lua_gettop(L))) fail("changed on the way", again);
  if (!encode(L, lua_gettop(L))) fail("what was read again is not encoded", again);
  if (strcmp(lua_tostring(L, -1), again) != 0) fail("the same value, another text", again);
  return 0;
}
