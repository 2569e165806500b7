/* Small jobs on files: see files.h. */
#include "files.h"

#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  LARGEST_WRITE = 1 << 30, /* bytes at once; macOS refuses 2^31 */
  PATIENCE_MS = 1000       /* for a descriptor that does not block and takes nothing */
};

int qhub_file_read(const char *path, bool follow, char *bytes, size_t room, size_t *length) {
  int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | (follow ? 0 : O_NOFOLLOW | O_NONBLOCK);
  int fd = open(path, flags);
  if (fd < 0) return errno;
  struct stat status;
  int error = fstat(fd, &status) != 0 ? errno : 0;
  if (error == 0 && S_ISDIR(status.st_mode)) error = EISDIR;
  if (error == 0 && !follow && !S_ISREG(status.st_mode)) error = EINVAL;
  *length = 0;
  while (error == 0 && *length < room) {
    ssize_t count = read(fd, bytes + *length, room - *length);
    if (count == 0) break;
    if (count < 0) error = errno;
    if (count > 0) *length += (size_t)count;
  }
  (void)close(fd);
  return error;
}

int qhub_file_write(int fd, const char *bytes, size_t length, int64_t offset, size_t *written) {
  qhub_held_signal held;
  int error = 0;
  size_t done = 0;
  qhub_signal_hold(&held, offset < 0 ? SIGPIPE : SIGXFSZ);
  while (error == 0 && done < length) {
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    size_t wanted = length - done < LARGEST_WRITE ? length - done : LARGEST_WRITE;
    ssize_t count = offset < 0 ? write(fd, bytes + done, wanted)
                               : pwrite(fd, bytes + done, wanted, (off_t)offset + (off_t)done);
    if (count > 0) {
      done += (size_t)count;
    } else if (count == 0) {
      error = ENOSPC;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (poll(&wait, 1, PATIENCE_MS) == 0) error = EAGAIN;
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  qhub_signal_release(&held);
  *written = done;
  return error;
}
