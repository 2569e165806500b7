/*
** core.json.document: reads the small documents that come with tokens (responses of the token
** endpoint, configuration files) by cJSON, and believes it. They hold words and round numbers: that
** cJSON reads numbers as doubles, ends strings at a NUL and accepts a little more than JSON does
** not matter there. What the gateway says is read by core.json.decode, which loses nothing.
**
** The only file that includes cJSON.h.
*/
#include "json.h"

#include <cjson/cJSON.h>
#include <lauxlib.h>

/* [-0, +1] */
static void push_node(lua_State *L, const cJSON *node) { // NOLINT(misc-no-recursion)
  lua_Integer count = 0;
  luaL_checkstack(L, 8, "not enough memory for nested JSON");
  switch (node->type & 0xFF) {
    case cJSON_NULL: lua_pushlightuserdata(L, NULL); break;
    case cJSON_True: lua_pushboolean(L, 1); break;
    case cJSON_False: lua_pushboolean(L, 0); break;
    case cJSON_Number: lua_pushnumber(L, node->valuedouble); break;
    case cJSON_String: lua_pushstring(L, node->valuestring); break;
    default:
      lua_newtable(L);
      for (const cJSON *item = node->child; item != NULL; item = item->next) {
        if (item->string != NULL) {
          lua_pushstring(L, item->string);
        } else {
          lua_pushinteger(L, ++count);
        }
        push_node(L, item);
        lua_rawset(L, -3);
      }
  }
}

/* The tree is a light userdata.  [-1, +1] */
static int push_tree(lua_State *L) {
  push_node(L, lua_touserdata(L, 1));
  return 1;
}

int qhub_json_document(lua_State *L) {
  size_t length;
  const char *wrong;
  const char *text = luaL_checklstring(L, 1, &length);
  cJSON *tree = cJSON_ParseWithLengthOpts(text, length + 1, &wrong, 1); /* the NUL as well */
  /* It does not say whether memory was short: what fails for that once more raises below. */
  if (tree == NULL) tree = cJSON_ParseWithLengthOpts(text, length + 1, &wrong, 1);
  if (tree == NULL) {
    luaL_pushfail(L);
    qhub_json_push_place(L, text, wrong);
    return 3;
  }
  lua_pushcfunction(L, push_tree);
  lua_pushlightuserdata(L, tree);
  int status = lua_pcall(L, 1, 1, 0);
  cJSON_Delete(tree);
  return status == LUA_OK ? 1 : lua_error(L);
}
