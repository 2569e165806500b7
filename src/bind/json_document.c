/*
** core.json.document: reads the small documents of the API (error bodies, responses of the token
** endpoint, configuration files) by cJSON.
**
** cJSON accepts more than JSON, reads numbers as doubles and ends strings at a NUL. So the scanner
** (json/scan.h) goes first: what it refuses is refused, and a text that cJSON would not read to the
** same values as core.json.decode is left to that. All others are plain: short, with small integers
** and without NUL. For these cJSON's tree is the value.
**
** The only file that includes cJSON.h. The tree is held by a box, since Lua may raise.
*/
#include "json.h"

#include "../json/scan.h"

#include <cjson/cJSON.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

enum {
  LONGEST = 1024 * 1024, /* bytes; cJSON's tree takes up to 40 times as many */
  DEEPEST = 100,
  LARGEST = 1000000000 /* integers up to this one, and down to its negative */
};

/* Whether `text` is plain. After an error of the scanner it is. */
static bool is_plain(qhub_json_scanner *scanner, const char *text, size_t length) {
  if (length > LONGEST || strstr(text, "\\u0000") != NULL) return false;
  for (;;) {
    switch (qhub_json_next(scanner)) {
      case QHUB_JSON_END:
      case QHUB_JSON_ERROR: return true;
      case QHUB_JSON_NUMBER:
        if (scanner->number.kind != QHUB_NUMBER_INTEGER) return false;
        if (scanner->number.integer > LARGEST || scanner->number.integer < -LARGEST) return false;
        break;
      default:
        if (scanner->depth > DEEPEST) return false;
    }
  }
}

/* [-0, +1] */
static void push_node(lua_State *L, const cJSON *node) { // NOLINT(misc-no-recursion)
  lua_Integer count = 0;
  luaL_checkstack(L, 8, "not enough memory for nested JSON");
  switch (node->type & 0xFF) {
    case cJSON_NULL: lua_pushlightuserdata(L, NULL); break;
    case cJSON_True: lua_pushboolean(L, 1); break;
    case cJSON_False: lua_pushboolean(L, 0); break;
    case cJSON_Number: lua_pushinteger(L, node->valueint); break;
    case cJSON_String: lua_pushstring(L, node->valuestring); break;
    case cJSON_Array:
      lua_newtable(L);
      lua_pushvalue(L, lua_upvalueindex(QHUB_JSON_ARRAY_MARK));
      lua_setmetatable(L, -2);
      for (const cJSON *item = node->child; item != NULL; item = item->next) {
        push_node(L, item);
        lua_rawseti(L, -2, ++count);
      }
      break;
    default:
      lua_newtable(L);
      for (const cJSON *member = node->child; member != NULL; member = member->next) {
        lua_pushstring(L, member->string);
        push_node(L, member);
        lua_rawset(L, -3);
      }
  }
}

int qhub_json_document(lua_State *L) {
  qhub_json_scanner scanner;
  size_t length;
  luaL_checktype(L, 1, LUA_TSTRING);
  const char *text = lua_tolstring(L, 1, &length);
  lua_settop(L, 2);
  qhub_json_begin(&scanner, text, length, lua_toboolean(L, 2));
  if (!is_plain(&scanner, text, length)) return qhub_json_decode(L);
  if (scanner.problem != NULL) return qhub_json_push_failure(L, &scanner);

  cJSON **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  lua_pushvalue(L, lua_upvalueindex(QHUB_JSON_DOCUMENT_BOX));
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  *box = cJSON_ParseWithLength(text, length);
  /* the text is valid: nothing but memory can have been missing */
  if (*box == NULL) return luaL_error(L, "not enough memory");
  push_node(L, *box);
  return 1;
}

/* __close, __gc: idempotent */
static int close_box(lua_State *L) {
  cJSON **box = lua_touserdata(L, 1);
  cJSON *tree = *box;
  *box = NULL;
  cJSON_Delete(tree); /* takes NULL, too */
  return 0;
}

/* Where Lua lacks the memory to call __close, the collector calls __gc later. */
static const luaL_Reg box_metamethods[] = {
  {"__close", close_box},
  {"__gc", close_box},
  {NULL, NULL},
};

void qhub_json_push_document_box(lua_State *L) {
  luaL_newlib(L, box_metamethods);
}
