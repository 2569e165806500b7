/*
** Small jobs on files: read one whole, write all bytes.
**
** Every function returns 0 or an errno. Descriptors are never inherited by child processes. Knows
** neither Lua nor curl, and keeps nothing.
*/
#ifndef QHUB_FS_FILES_H
#define QHUB_FS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads at most `room` bytes from the start of the file. A directory is EISDIR. `follow` false: a
** symbolic link is ELOOP, and anything but a regular file EINVAL. A signal ends the wait for a pipe
** with EINTR. */
int qhub_file_read(const char *path, bool follow, char *bytes, size_t room, size_t *length);

/* Writes all bytes at `offset` of a file; or, when that is negative, to a descriptor as it stands:
** waits for one that does not block, and a reader that is gone is EPIPE without SIGPIPE. `*written`
** says how many were written, also after a failure. */
int qhub_file_write(int fd, const char *bytes, size_t length, int64_t offset, size_t *written);

#endif
