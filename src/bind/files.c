/* What the bindings of files share: see files.h. */
#include "files.h"

#include "../text/characters.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

typedef struct {
  int number;
  const char *name;
} errno_name;

#define NAMED(number)                                                                              \
  { number, #number }

static const errno_name names[] = {
  NAMED(EACCES), NAMED(EAGAIN),  NAMED(EBADF),     NAMED(EBUSY),        NAMED(EDQUOT),
  NAMED(EEXIST), NAMED(EFBIG),   NAMED(EINTR),     NAMED(EINVAL),       NAMED(EIO),
  NAMED(EISDIR), NAMED(ELOOP),   NAMED(EMFILE),    NAMED(ENAMETOOLONG), NAMED(ENFILE),
  NAMED(ENODEV), NAMED(ENOENT),  NAMED(ENOLCK),    NAMED(ENOMEM),       NAMED(ENOSPC),
  NAMED(ENOSYS), NAMED(ENOTDIR), NAMED(ENOTEMPTY), NAMED(ENOTSUP),      NAMED(ENXIO),
  NAMED(EPERM),  NAMED(EPIPE),   NAMED(EROFS),     NAMED(ESTALE),       NAMED(ETXTBSY),
  NAMED(EXDEV),
};

/* [+1] */
static void push_errno_name(lua_State *L, int number) {
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (names[i].number == number) {
      lua_pushstring(L, names[i].name);
      return;
    }
  }
  lua_pushfstring(L, "errno %d", number);
}

int qhub_push_file_failure(lua_State *L, const char *path, int number, const char *reason) {
  char text[256];
  if (reason == NULL) {
    /* strerror shares one buffer between the threads of the host program */
    if (strerror_r(number, text, sizeof text) != 0) memcpy(text, "failed", sizeof "failed");
    reason = text;
  }
  luaL_pushfail(L);
  lua_pushfstring(L, "%s: %s", path, reason);
  push_errno_name(L, number);
  return 3;
}

const char *qhub_check_path(lua_State *L, int index) {
  size_t length;
  const char *path = luaL_checklstring(L, index, &length);
  if (strlen(path) == length) return path;
  char shown[QHUB_PRINTABLE_SIZE];
  qhub_printable(path, length, shown);
  (void)qhub_push_file_failure(L, shown, EINVAL, "a path cannot hold a zero byte");
  return NULL;
}
