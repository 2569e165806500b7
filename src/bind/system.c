/*
** `core.system`: clocks, environment, terminal, random numbers, small files.
**
** What the Lua layer needs of the operating system, so that it does not depend on `os` and `io`,
** which a host may have taken away. Keeps nothing between calls.
*/
#include "files.h"
#include "module.h"

#include "../fs/files.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* [+1] seconds as a float */
static int push_clock(lua_State *L, clockid_t clock) {
  struct timespec now;
  if (clock_gettime(clock, &now) != 0) return luaL_error(L, "the system has no such clock");
  lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9);
  return 1;
}

/* monotonic() -> seconds since some moment; never set back  [+1] */
static int get_monotonic(lua_State *L) {
  return push_clock(L, CLOCK_MONOTONIC);
}

/* realtime() -> seconds since the epoch  [+1] */
static int get_realtime(lua_State *L) {
  return push_clock(L, CLOCK_REALTIME);
}

/* random() -> float in [0, 1)  [+1] */
static int get_random(lua_State *L) {
  uint64_t bits;
  if (getentropy(&bits, sizeof bits) != 0) {
    return luaL_error(L, "the system has no random numbers");
  }
  lua_pushnumber(L, (lua_Number)(bits >> 11) / 9007199254740992.0); /* 53 bits / 2^53 */
  return 1;
}

/* getenv(name) -> string or nil  [+1] */
static int get_environment(lua_State *L) {
  lua_pushstring(L, getenv(luaL_checkstring(L, 1)));
  return 1;
}

static int check_descriptor(lua_State *L, int index) {
  lua_Integer fd = luaL_checkinteger(L, index);
  luaL_argcheck(L, fd >= 0 && fd <= INT_MAX, index, "no file descriptor");
  return (int)fd;
}

/* isatty(fd) -> boolean  [+1] */
static int is_terminal(lua_State *L) {
  lua_pushboolean(L, isatty(check_descriptor(L, 1)));
  return 1;
}

/* columns(fd) -> width of the terminal, or nil where there is none or it is unknown  [+1] */
static int get_columns(lua_State *L) {
  struct winsize size;
  if (ioctl(check_descriptor(L, 1), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    lua_pushinteger(L, size.ws_col);
  } else {
    luaL_pushfail(L);
  }
  return 1;
}

/* write(fd, text) -> true, or nil, message, errno name. Writes all of it, past any buffer of the C
** library. A reader that is gone is EPIPE, never a signal; a descriptor that does not block is
** waited for, a second at most.  [+1 or +3] */
static int write_text(lua_State *L) {
  size_t length, written;
  int fd = check_descriptor(L, 1);
  const char *text = luaL_checklstring(L, 2, &length);
  int error = qhub_file_write(fd, text, length, -1, &written);
  if (error != 0) {
    const char *name = lua_pushfstring(L, "descriptor %d", fd);
    return qhub_push_file_failure(L, name, error, NULL);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* read_file(path, limit, follow) -> text, or nil, message, errno name. `limit` in bytes (1 MiB); a
** longer file is EFBIG. `follow` (default true) false: regular files only, no symbolic links. The
** room is a Lua value and made before the file is opened: an error that Lua raises leaves nothing
** open.  [+1 or +3] */
static int read_file(lua_State *L) {
  enum { DEFAULT_LIMIT = 1024 * 1024 };
  const char *path = qhub_check_path(L, 1);
  if (path == NULL) return 3;
  lua_Integer limit = luaL_optinteger(L, 2, DEFAULT_LIMIT);
  luaL_argcheck(L, limit >= 0, 2, "limit is negative");
  bool follow = lua_isnoneornil(L, 3) || lua_toboolean(L, 3);
  size_t length;
  luaL_Buffer text;
  char *room = luaL_buffinitsize(L, &text, (size_t)limit + 1); /* a longer file shows */
  int error = qhub_file_read(path, follow, room, (size_t)limit + 1, &length);
  if (error == 0 && length <= (size_t)limit) {
    luaL_pushresultsize(&text, length);
    return 1;
  }
  if (error != 0) return qhub_push_file_failure(L, path, error, NULL);
  const char *reason = lua_pushfstring(L, "is longer than %I bytes", (LUAI_UACINT)limit);
  return qhub_push_file_failure(L, path, EFBIG, reason);
}

/* working_directory() -> path, or nil when there is none or it is too long  [+1] */
static int get_working_directory(lua_State *L) {
  char path[4096];
  if (getcwd(path, sizeof path) != NULL) {
    lua_pushstring(L, path);
  } else {
    luaL_pushfail(L);
  }
  return 1;
}

static const luaL_Reg functions[] = {
  {"working_directory", get_working_directory},
  {"monotonic", get_monotonic},
  {"realtime", get_realtime},
  {"random", get_random},
  {"getenv", get_environment},
  {"isatty", is_terminal},
  {"columns", get_columns},
  {"write", write_text},
  {"read_file", read_file},
  {NULL, NULL},
};

int qhub_open_system(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
