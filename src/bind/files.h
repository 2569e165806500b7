/*
** What the bindings of files share: paths as arguments, failures as results.
** A failure is nil, message, name of the errno.
*/
#ifndef QHUB_FILES_H
#define QHUB_FILES_H

#include <lua.h>

#include "../fs/partfile.h"

/* The open part file at argument `index`.  [-0, +0] */
qhub_partfile *qhub_check_part(lua_State *L, int index);

/* Pushes nil, "PATH: REASON" and the errno's name ("ENOSPC"). `reason` NULL: the system's own text
** for the errno. Returns 3.  [-0, +3] */
int qhub_push_file_failure(lua_State *L, const char *path, int number, const char *reason);

/* Argument `index` as a path. NULL, with nil, message and "EINVAL" pushed, when it has a zero byte:
** such names come from servers, so that is no usage error.  [-0, +0 or +3] */
const char *qhub_check_path(lua_State *L, int index);

#endif
