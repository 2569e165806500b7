/*
** `core.partfile`: the userdata "qhub.PartFile", and the small file jobs that go with a download.
**
** One function for each of src/fs/partfile.h. A part that is neither committed nor kept is
** removed when its userdata goes, so that an abandoned download leaves nothing. All failures are
** nil, message, errno name; only usage errors raise.
*/
#include "files.h"
#include "module.h"
#include "userdata.h"

#include "../fs/partfile.h"

#include <errno.h>
#include <lauxlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef int (*opener)(qhub_partfile *part, const char *target);

static bool is_open(void *object) {
  const qhub_partfile *part = object;
  return part->target != NULL;
}

static void release(void *object) {
  qhub_partfile_close(object);
}

static const qhub_userdata_type type = {
  .name = "qhub.PartFile",
  .label = "part file",
  .size = sizeof(qhub_partfile),
  .is_open = is_open,
  .close = release,
};

qhub_partfile *qhub_check_part(lua_State *L, int index) {
  qhub_partfile *part = luaL_checkudata(L, index, type.name);
  luaL_argcheck(L, is_open(part), index, "the part file is closed");
  return part;
}

static qhub_partfile *check_open(lua_State *L) {
  return qhub_userdata_check_open(L, &type);
}

/* true, or nil, message, errno name  [+1 or +3] */
static int push_result(lua_State *L, const char *path, int error, const char *reason) {
  if (error != 0) return qhub_push_file_failure(L, path, error, reason);
  lua_pushboolean(L, 1);
  return 1;
}

/* [+1 or +3] */
static int open_part(lua_State *L, opener open) {
  const char *target = qhub_check_path(L, 1);
  if (target == NULL) return 3;
  qhub_partfile *part = qhub_userdata_new(L, &type);
  int error = open(part, target);
  return error == 0 ? 1 : push_result(L, target, error, part->reason);
}

/* create(target) -> new part, or nil, message, errno name  [+1 or +3] */
static int create(lua_State *L) {
  return open_part(L, qhub_partfile_create);
}

/* resume(target) -> the part of `target`, perhaps with bytes in it (see size), and locked; or nil,
** message, errno name: "EAGAIN" when it is in use  [+1 or +3] */
static int resume(lua_State *L) {
  return open_part(L, qhub_partfile_resume);
}

/* kind(path) -> "file", "directory" or "special" (a device, a pipe, a socket), of what a symbolic
** link leads to as well; "link" for one that leads nowhere; nil when nothing has that name  [+1] */
static int get_kind(lua_State *L) {
  struct stat status;
  const char *path = qhub_check_path(L, 1);
  if (path == NULL || lstat(path, &status) != 0) {
    lua_pushnil(L);
  } else if (stat(path, &status) != 0) {
    lua_pushliteral(L, "link");
  } else {
    bool special = !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
    lua_pushstring(L, special ? "special" : S_ISDIR(status.st_mode) ? "directory" : "file");
  }
  return 1;
}

/* write_atomic(path, text) -> true, or nil, message, errno name. Readers see the old text or the
** new.  [+1 or +3] */
static int write_atomic(lua_State *L) {
  size_t length;
  const char *path = qhub_check_path(L, 1);
  if (path == NULL) return 3;
  const char *text = luaL_checklstring(L, 2, &length);
  qhub_partfile part;
  int error = qhub_partfile_create(&part, path);
  if (error == 0) error = qhub_partfile_append(&part, text, length);
  if (error == 0) error = qhub_partfile_commit(&part, true);
  qhub_partfile_close(&part);
  return push_result(L, path, error, part.reason);
}

/* remove(path) -> true (also when there was none), or nil, message, errno name  [+1 or +3] */
static int remove_file(lua_State *L) {
  const char *path = qhub_check_path(L, 1);
  if (path == NULL) return 3;
  int error = unlink(path) != 0 && errno != ENOENT ? errno : 0;
  return push_result(L, path, error, NULL);
}

/* part:path() -> where the bytes are now  [+1] */
static int get_path(lua_State *L) {
  lua_pushstring(L, check_open(L)->path);
  return 1;
}

/* part:size() -> bytes in the part; known after closing too  [+1] */
static int get_size(lua_State *L) {
  const qhub_partfile *part = qhub_userdata_check(L, &type);
  lua_pushinteger(L, (lua_Integer)part->size);
  return 1;
}

/* part:check() -> true, or nil, message, errno name of the append that failed  [+1 or +3] */
static int check_part(lua_State *L) {
  const qhub_partfile *part = check_open(L);
  return push_result(L, part->path, part->error, NULL);
}

/* part:append(bytes) -> true, or nil, message, errno name; `size` says how many of them are in
** [+1 or +3] */
static int append(lua_State *L) {
  size_t length;
  qhub_partfile *part = check_open(L);
  const char *bytes = luaL_checklstring(L, 2, &length);
  return push_result(L, part->path, qhub_partfile_append(part, bytes, length), NULL);
}

/* part:truncate(size) -> true, or nil, message, errno name  [+1 or +3] */
static int truncate_part(lua_State *L) {
  qhub_partfile *part = check_open(L);
  lua_Integer size = luaL_checkinteger(L, 2);
  luaL_argcheck(L, size >= 0 && size <= (lua_Integer)part->size, 2, "not within the part");
  return push_result(L, part->path, qhub_partfile_truncate(part, (int64_t)size), NULL);
}

/* part:commit(overwrite) -> true, and the part is closed and is the target; or nil, message, errno
** name, and it is still open. `overwrite` (default true) false: "EEXIST" when the target exists.
** [+1 or +3] */
static int commit(lua_State *L) {
  qhub_partfile *part = check_open(L);
  bool overwrite = lua_isnoneornil(L, 2) || lua_toboolean(L, 2);
  int error = qhub_partfile_commit(part, overwrite);
  return push_result(L, part->target, error, part->reason);
}

/* part:keep() -> part; from now on only `discard` removes the file, and not `close`  [+1] */
static int keep(lua_State *L) {
  check_open(L)->kept = true;
  lua_settop(L, 1);
  return 1;
}

/* part:discard(): the file goes. Idempotent.  [+0] */
static int discard(lua_State *L) {
  qhub_partfile *part = qhub_userdata_check(L, &type);
  part->kept = false;
  qhub_partfile_close(part);
  return 0;
}

static const luaL_Reg functions[] = {
  {"create", create},      {"resume", resume}, {"kind", get_kind}, {"write_atomic", write_atomic},
  {"remove", remove_file}, {NULL, NULL},
};

static const luaL_Reg methods[] = {
  {"path", get_path},
  {"size", get_size},
  {"append", append},
  {"check", check_part},
  {"truncate", truncate_part},
  {"commit", commit},
  {"keep", keep},
  {"close", qhub_userdata_close},
  {"discard", discard},
  {NULL, NULL},
};

int qhub_open_partfile(lua_State *L) {
  qhub_userdata_register(L, &type, methods, NULL);
  luaL_newlib(L, functions);
  return 1;
}
