/*
** How the bindings of files tell a failure: nil, message, name of the errno.
*/
#ifndef QHUB_FAILURE_H
#define QHUB_FAILURE_H

#include <lua.h>

/* Pushes nil, "PATH: REASON" and the errno's name ("ENOSPC"). `reason` NULL: the system's own text
** for the errno. Returns 3.  [-0, +3] */
int qhub_push_file_failure(lua_State *L, const char *path, int number, const char *reason);

/* Argument `index` as a path. NULL, with nil, message and "EINVAL" pushed, when it has a zero byte:
** such names come from servers, so that is no misuse.  [-0, +0 or +3] */
const char *qhub_check_path(lua_State *L, int index);

#endif
