/*
** core.engine: prepared requests. See engine/engine.h for what one is. The header lines are copied
** once; any number of transfers may be started from one.
*/
#include <stdint.h>
#include <string.h>

#include "engine_bind.h"
#include "module.h"
#include "userdata.h"

/* The longest that anything is waited for: beyond it timers need no precision. */
static const double FOREVER = 1e9;

typedef struct {
  qhub_prepared *prepared;
} prepared_box;

static bool is_open(const void *object) {
  const prepared_box *box = object;
  return box->prepared != NULL;
}

static void release(void *object) {
  prepared_box *box = object;
  if (box->prepared != NULL) qhub_prepared_release(box->prepared);
  box->prepared = NULL;
}

static const qhub_userdata_type type = {
  .name = "qhub.Prepared",
  .label = "prepared request",
  .size = sizeof(prepared_box),
  .is_open = is_open,
  .close = release,
};

qhub_prepared *qhub_bind_check_prepared(lua_State *L, int argument) {
  const prepared_box *box = luaL_checkudata(L, argument, type.name);
  luaL_argcheck(L, is_open(box), argument, "a prepared request expected");
  return box->prepared;
}

void qhub_bind_push_fields(lua_State *L, const char *const *names) {
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  for (; *names != NULL; names++) lua_getfield(L, 2, *names);
}

/* A number of bytes on the stack, or `otherwise` if it is nil or false. */
static size_t check_bytes(lua_State *L, int index, size_t otherwise) {
  if (!lua_toboolean(L, index)) return otherwise;
  lua_Integer bytes = luaL_checkinteger(L, index);
  luaL_argcheck(L, bytes >= 0, index, "number of bytes expected");
  return (lua_Unsigned)bytes < SIZE_MAX ? (size_t)bytes : SIZE_MAX;
}

static double check_seconds(lua_State *L, int index) {
  lua_Number seconds = luaL_checknumber(L, index);
  return seconds < FOREVER ? seconds : FOREVER;
}

typedef struct {
  size_t count;
  size_t bytes;
} header_size;

/* Checks the array of header lines and adds up their lengths.  [-0, +0] */
static header_size measure_headers(lua_State *L, int index) {
  header_size size = {lua_rawlen(L, index), 0};
  for (size_t i = 1; i <= size.count; i++) {
    /* A number would be turned into a string of its own that nothing keeps. */
    if (lua_rawgeti(L, index, (lua_Integer)i) != LUA_TSTRING) {
      luaL_error(L, "field 'header_lines': strings expected");
    }
    size.bytes += lua_rawlen(L, -1);
    lua_pop(L, 1);
  }
  return size;
}

/* Copies the lines that `measure_headers` saw; nothing here can fail.  [-0, +0] */
static void add_headers(lua_State *L, int index, qhub_prepared *prepared, size_t count) {
  for (size_t i = 1; i <= count; i++) {
    size_t length;
    lua_rawgeti(L, index, (lua_Integer)i);
    const char *line = lua_tolstring(L, -1, &length);
    qhub_prepared_add_header(prepared, line, length);
    lua_pop(L, 1);
  }
}

int qhub_bind_prepare(lua_State *L, const qhub_session *session) {
  /* Stack. */
  enum { METHOD = 3, HEADERS, TIMEOUT, CONNECT_TIMEOUT, MAX_BYTES, STREAM, ONCE, DECODE };
  static const char *const names[] = {"method",    "header_lines", "timeout", "connect_timeout",
                                      "max_bytes", "stream",       "once",    "decode",
                                      NULL};
  qhub_bind_push_fields(L, names);
  luaL_checktype(L, HEADERS, LUA_TTABLE);
  qhub_request request = {
    .method = luaL_checkstring(L, METHOD),
    .timeout = check_seconds(L, TIMEOUT),
    .connect_timeout = check_seconds(L, CONNECT_TIMEOUT),
    .max_bytes = check_bytes(L, MAX_BYTES, SIZE_MAX),
    .stream = check_bytes(L, STREAM, 0),
    .once = lua_toboolean(L, ONCE),
    .decode = lua_toboolean(L, DECODE),
  };
  header_size headers = measure_headers(L, HEADERS);
  prepared_box *box = qhub_userdata_new(L, &type);
  box->prepared = qhub_prepared_new(&request, headers.count, headers.bytes);
  if (box->prepared == NULL) return luaL_error(L, "not enough memory");
  add_headers(L, HEADERS, box->prepared, headers.count);
  qhub_prepared_complete(box->prepared, session);
  return 1;
}

/* [-0, +0] */
void qhub_register_prepared(lua_State *L) {
  qhub_userdata_register(L, &type, NULL, NULL);
}
