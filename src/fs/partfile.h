/*
** A part file: where a download grows, beside its target, until it is complete.
**
** The target's name only ever stands for what was there before or for the complete new file: the
** part is synced and then renamed, and anything that ends the process in between (kill -9 too)
** leaves at most a part, whose name starts with a dot and ends in ".qhub-part". Decides nothing:
** what to resume, keep or overwrite is decided in Lua. All functions but the
** last return 0 or an errno. Knows neither Lua nor curl.
*/
#ifndef QHUB_PARTFILE_H
#define QHUB_PARTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct {
  int fd;
  int64_t size; /* bytes; stays known after closing */
  bool kept;    /* the part outlives this object */
  int error;    /* an errno: of the append that failed; nothing is added after it */
  const char
    *reason;    /* static, of the last failure to open or commit; NULL: what the system says */
  pid_t maker;  /* a forked child has a copy of the object, but the file is its parent's */
  dev_t device; /* which file it is, under any name */
  ino_t inode;
  char *path;    /* owned */
  char *target;  /* owned; NULL when closed */
} qhub_partfile; /* zeroed memory is a closed one */

/* Makes a new, empty part beside `target`. Removes the one that an earlier process made in the same
** way and left when it was killed. */
int qhub_partfile_create(qhub_partfile *part, const char *target);

/* Opens the one part of `target` that is there to be resumed, or makes it; `size` says how much it
** holds. The part is locked until it is closed: EAGAIN when somebody else writes it, in this
** process or another. Follows no symbolic link, and starts over rather than write to a file that
** has another owner or other names. */
int qhub_partfile_resume(qhub_partfile *part, const char *target);

/* Adds bytes at the end. After a failure `size` counts those that were written, and every append
** fails in the same way. */
int qhub_partfile_append(qhub_partfile *part, const char *bytes, size_t length);

/* Cuts the part; `size` is at most the present one. */
int qhub_partfile_truncate(qhub_partfile *part, int64_t size);

/* Syncs, gives the part the target's name and closes it. `overwrite` false: EEXIST when something
** has that name, and never a moment in which it could be replaced. After a failure the part is
** still open. A target that is a symbolic link is itself replaced, not what it points to. */
int qhub_partfile_commit(qhub_partfile *part, bool overwrite);

/* Closes; removes the part unless it is `kept`. Idempotent. */
void qhub_partfile_close(qhub_partfile *part);

#endif
