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

/* Pushes a field of the request at argument 2: a string, or NULL when it is nil or false.
** [-0, +1] */
static const char *string_field(lua_State *L, const char *name, size_t *length) {
  int found = lua_getfield(L, 2, name);
  *length = 0;
  if (!lua_toboolean(L, -1)) return NULL;
  if (found != LUA_TSTRING) {
    luaL_error(L, "field '%s': string expected, got %s", name, luaL_typename(L, -1));
  }
  return lua_tolstring(L, -1, length);
}

/* A string that must be there and have no NUL byte.  [-0, +1] */
static const char *name_field(lua_State *L, const char *name) {
  size_t length;
  const char *text = string_field(L, name, &length);
  if (text == NULL || length == 0 || strlen(text) != length) {
    luaL_error(L, "field '%s': text expected", name);
  }
  return text;
}

/* [-0, +0] */
static double seconds_field(lua_State *L, const char *name) {
  int is_number;
  lua_getfield(L, 2, name);
  lua_Number seconds = lua_tonumberx(L, -1, &is_number);
  if (!is_number || !(seconds >= 0)) luaL_error(L, "field '%s': seconds expected", name);
  lua_pop(L, 1);
  return seconds < FOREVER ? seconds : FOREVER;
}

/* A number of bytes, or `otherwise` when the field is nil or false.  [-0, +0] */
static size_t bytes_field(lua_State *L, const char *name, size_t otherwise) {
  lua_getfield(L, 2, name);
  if (lua_toboolean(L, -1)) {
    int is_integer;
    lua_Integer bytes = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || bytes < 0) luaL_error(L, "field '%s': number of bytes expected", name);
    otherwise = (lua_Unsigned)bytes < SIZE_MAX ? (size_t)bytes : SIZE_MAX;
  }
  lua_pop(L, 1);
  return otherwise;
}

/* [-0, +0] */
static bool flag_field(lua_State *L, const char *name) {
  lua_getfield(L, 2, name);
  bool flag = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return flag;
}

typedef struct {
  size_t count;
  size_t bytes;
} header_size;

/* Checks the array of header lines on top of the stack and adds up their lengths.  [-0, +0] */
static header_size measure_headers(lua_State *L) {
  header_size size = {0, 0};
  if (!lua_istable(L, -1)) luaL_error(L, "field 'header_lines': table expected");
  size.count = lua_rawlen(L, -1);
  for (size_t i = 1; i <= size.count; i++) {
    /* A number would be turned into a string of its own that nothing keeps. */
    if (lua_rawgeti(L, -1, (lua_Integer)i) != LUA_TSTRING) {
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
  enum { METHOD = 3, HEADERS, PREPARED }; /* stack */
  qhub_request request;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  request.method = name_field(L, "method");
  lua_getfield(L, 2, "header_lines");
  request.timeout = seconds_field(L, "timeout");
  request.connect_timeout = seconds_field(L, "connect_timeout");
  request.max_bytes = bytes_field(L, "max_bytes", SIZE_MAX);
  request.stream = bytes_field(L, "stream", 0);
  request.once = flag_field(L, "once");
  request.decode = flag_field(L, "decode");
  header_size headers = measure_headers(L);
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
