/*
** core.json.decode against itself and against cJSON.
**
** The input is a text. What is accepted must survive encoding and decoding to the last bit, must be
** accepted by cJSON as well, with the same structure, strings and (as doubles) numbers, and must
** decode to the same when blanks behind its commas make it so long that it is taken in slices.
** `make fuzz` builds and runs it; see fuzz/README.md.
*/
#include "json_fuzz.h"

#include <cjson/cJSON.h>

enum { CJSON_LONGEST_NUMBER = 63, MOST_COMMAS = 40, BLANKS = 5000 };

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

/* The value on top of the stack was read from `text`. */
static void compare_with_cjson(lua_State *L, const char *text, size_t length) {
  if (longest_number(text, length) > CJSON_LONGEST_NUMBER) return;
  const char *end = NULL;
  cJSON *tree = cJSON_ParseWithLengthOpts(text, length + 1, &end, 1);
  if (tree == NULL || end != text + length) fail("cJSON refuses", text);
  /* its strings end at a NUL */
  if (strstr(text, "\\u0000") == NULL) compare(L, tree);
  cJSON_Delete(tree);
}

/* Writes `text` with blanks behind its commas; returns false when it has too few or too many. */
static bool push_stretched(lua_State *L, const char *text, size_t length) {
  static const char blanks[BLANKS + 1] = {0};
  char line[sizeof blanks];
  int commas = 0;
  bool inside = false;
  luaL_Buffer stretched;
  memset(line, ' ', sizeof line);
  luaL_buffinit(L, &stretched);
  for (size_t i = 0; i < length; i++) {
    luaL_addchar(&stretched, text[i]);
    if (inside && text[i] == '\\') {
      i++;
      luaL_addchar(&stretched, text[i]);
    } else if (text[i] == '"') {
      inside = !inside;
    } else if (!inside && text[i] == ',' && ++commas <= MOST_COMMAS) {
      luaL_addlstring(&stretched, line, BLANKS);
    }
  }
  luaL_pushresult(&stretched);
  return commas > 1 && commas <= MOST_COMMAS;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lua_State *L = fresh_state();
  const char *text = lua_pushlstring(L, (const char *)data, size);
  if (!decode(L, text, size)) return 0;
  int value = lua_gettop(L);
  compare_with_cjson(L, text, size);

  if (!encode(L, value)) fail("what was decoded is not encoded", lua_tostring(L, -1));
  size_t length;
  const char *again = lua_tolstring(L, -1, &length);
  if (!decode(L, again, length)) fail("what was encoded is not decoded", again);
  if (!same(L, value, lua_gettop(L))) fail("changed on the way", again);

  if (push_stretched(L, text, size)) {
    const char *stretched = lua_tolstring(L, -1, &length);
    if (!decode(L, stretched, length)) fail("refused in slices", text);
    if (!same(L, value, lua_gettop(L))) fail("changed in slices", text);
  }
  return 0;
}
