/* A part file: see partfile.h. */
#include "partfile.h"

#include "../text/utf8.h"
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif
#ifdef __APPLE__
#include <sys/random.h>
#endif

static const mode_t PRIVATE = S_IRUSR | S_IWUSR; /* other users cannot read what is not complete */

enum {
  ATTEMPTS = 16,     /* at a part that others rename or remove */
  LONGEST_STEM = 80, /* bytes of the target's name in the part's: some file systems end at 143 */
  MARKS_SIZE = sizeof "..0123456789abcdef.0123456789abcdef.qhub-part",
};

/* Of a part that is not to be resumed. */
static const char FIRST_MARK[] = ".0000000000000000";

static const qhub_file_result SUCCESS = {0, NULL};

static qhub_file_result failure(int number, const char *reason) {
  return (qhub_file_result){number, reason};
}

/* 0 or an errno */
static qhub_file_result result_of(int number) {
  return failure(number, NULL);
}

/* Where the last name of a path starts. */
static const char *name_in(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

/* FNV-1a: distinguishes long names with the same beginning. */
static unsigned long long hash_name(const char *name) {
  unsigned long long hash = 14695981039346656037ULL;
  for (; *name != '\0'; name++) hash = (hash ^ (unsigned char)*name) * 1099511628211ULL;
  return hash;
}

/* DIRECTORY/.NAME[.HASH]MARK.qhub-part; the hash only where the name is cut. Returns 0 or an
** errno. */
static int make_part_path(const char *target, const char *mark, char **path) {
  const char *name = name_in(target);
  size_t directory = (size_t)(name - target);
  size_t stem = strlen(name);
  char hash[sizeof ".0123456789abcdef"] = "";
  if (stem > LONGEST_STEM) {
    stem = LONGEST_STEM; /* or a little less: not inside a character of UTF-8 */
    while (stem > 0 && qhub_utf8_is_continuation(name[stem])) stem--;
    (void)snprintf(hash, sizeof hash, ".%016llx", hash_name(name));
  }
  size_t size = directory + stem + MARKS_SIZE;
  *path = malloc(size);
  if (*path == NULL) return ENOMEM;
  (void)snprintf(*path, size, "%.*s.%.*s%s%s.qhub-part", (int)directory, target, (int)stem, name,
                 hash, mark);
  return 0;
}

/* The same, with a random mark. */
static int make_random_path(const char *target, char **path) {
  uint64_t bits;
  char mark[sizeof ".0123456789abcdef"];
  if (getentropy(&bits, sizeof bits) != 0) return EIO;
  (void)snprintf(mark, sizeof mark, ".%016llx", (unsigned long long)bits);
  return make_part_path(target, mark, path);
}

/* Does the part's name still stand for the file that is open? */
static bool has_its_name(const qhub_partfile *part) {
  struct stat status;
  return lstat(part->path, &status) == 0 && status.st_dev == part->device &&
         status.st_ino == part->inode;
}

/* Records which file is open, and its size. */
static int identify(qhub_partfile *part, struct stat *status) {
  if (fstat(part->fd, status) != 0) return errno;
  part->device = status->st_dev;
  part->inode = status->st_ino;
  part->size = (int64_t)status->st_size;
  return 0;
}

static void close_descriptor(qhub_partfile *part) {
  if (part->fd >= 0) (void)close(part->fd); /* frees the lock as well */
  part->fd = -1;
}

static void forget_paths(qhub_partfile *part) {
  free(part->path);
  free(part->target);
  part->path = NULL;
  part->target = NULL;
}

void qhub_partfile_close(qhub_partfile *part) {
  if (part->target == NULL) return;
  bool ours = part->fd >= 0 && part->maker == getpid();
  if (ours && !part->kept && has_its_name(part)) (void)unlink(part->path);
  close_descriptor(part);
  forget_paths(part);
}

/* What both ways to open begin with. */
static qhub_file_result prepare(qhub_partfile *part, const char *target) {
  const char *name = name_in(target);
  *part = (qhub_partfile){.fd = -1, .maker = getpid()};
  if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
    return failure(EISDIR, "is not the name of a file");
  }
  part->target = strdup(target);
  return result_of(part->target == NULL ? ENOMEM : 0);
}

static int lock(int fd) {
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

/* Opens, locks and checks what has the part's name. `fresh`: what is there already is not wanted.
** `*again`: it was not fit, or is no longer there, and another attempt may succeed. */
static qhub_file_result open_once(qhub_partfile *part, bool fresh, bool *again) {
  /* O_NONBLOCK: a named pipe in this place must not make us wait for its other end */
  const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  struct stat status;
  bool stale = false;
  *again = false;
  part->fd = open(part->path, flags | O_CREAT | (fresh ? O_EXCL : 0), PRIVATE);
  if (part->fd < 0 && errno == EEXIST) {
    stale = true;
    part->fd = open(part->path, flags);
  }
  if (part->fd < 0) {
    return failure(errno, errno == ELOOP ? "is a symbolic link, and none is followed" : NULL);
  }
  int error = identify(part, &status);
  if (error != 0) return result_of(error);
  if (!S_ISREG(status.st_mode)) return failure(EINVAL, "is not a regular file");
  error = lock(part->fd);
  if (error == EWOULDBLOCK) return failure(EAGAIN, "another download is writing it");
  if (fresh && !stale) error = 0; /* it is new, and ours even where there are no locks */
  if (error == 0) error = identify(part, &status); /* the size may have changed before the lock */
  if (error != 0) return result_of(error);
  if (!has_its_name(part)) { /* whoever had the lock has renamed or removed it */
    *again = true;
  } else if (stale || status.st_uid != geteuid() || status.st_nlink != 1) {
    *again = true;
    if (unlink(part->path) != 0) return result_of(errno);
  }
  return SUCCESS;
}

/* Opens and locks the file that has the part's name, or makes it. */
static qhub_file_result open_locked(qhub_partfile *part, bool fresh) {
  qhub_file_result result = SUCCESS;
  bool again = true;
  for (int attempts = ATTEMPTS; again && result.number == 0; attempts--) {
    close_descriptor(part);
    result = attempts > 0 ? open_once(part, fresh, &again) : failure(EBUSY, NULL);
  }
  if (result.number != 0) close_descriptor(part);
  return result;
}

/* Makes a part with a random name. Returns 0 or an errno. */
static int create_unlocked(qhub_partfile *part) {
  struct stat status;
  close_descriptor(part);
  free(part->path);
  part->path = NULL;
  int error = make_random_path(part->target, &part->path);
  if (error != 0) return error;
  const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
  part->fd = open(part->path, flags, PRIVATE);
  return part->fd < 0 ? errno : identify(part, &status);
}

/* The first name is always the same: a process that was killed leaves its part under it, and the
** next download of that target removes it. A random name is for a second download meanwhile, and
** where the first name has something that cannot be locked or removed. */
qhub_file_result qhub_partfile_create(qhub_partfile *part, const char *target) {
  qhub_file_result result = prepare(part, target);
  if (result.number == 0) result = result_of(make_part_path(target, FIRST_MARK, &part->path));
  if (result.number == 0 && open_locked(part, true).number != 0) {
    result = result_of(create_unlocked(part));
  }
  if (result.number != 0) qhub_partfile_close(part);
  return result;
}

qhub_file_result qhub_partfile_resume(qhub_partfile *part, const char *target) {
  qhub_file_result result = prepare(part, target);
  if (result.number == 0) result = result_of(make_part_path(target, "", &part->path));
  if (result.number == 0) result = open_locked(part, false);
  if (result.number != 0) qhub_partfile_close(part);
  return result;
}

qhub_file_result qhub_partfile_append(qhub_partfile *part, const char *bytes, size_t length) {
  size_t written;
  int error = qhub_file_write_at(part->fd, bytes, length, part->size, &written);
  part->size += (int64_t)written;
  return result_of(error);
}

qhub_file_result qhub_partfile_truncate(qhub_partfile *part, int64_t size) {
  while (ftruncate(part->fd, (off_t)size) != 0) {
    if (errno != EINTR) return result_of(errno);
  }
  part->size = size;
  return SUCCESS;
}

/* Whether the errno is one of the ways in which systems say that they cannot do this at all. EPERM
** is how some sandboxes say ENOSYS, and some file systems "no links". */
static bool is_unsupported(int error) {
#if ENOTSUP != EOPNOTSUPP
  if (error == EOPNOTSUPP) return true;
#endif
  return error == EINVAL || error == ENOSYS || error == ENOTSUP || error == EPERM;
}

/* Brings the file's bytes to the disk, as far as its file system knows how. 0 or an errno. */
static int sync_file(int fd) {
#ifdef F_FULLFSYNC
  if (fcntl(fd, F_FULLFSYNC) == 0) return 0; /* fsync leaves the bytes in the drive's cache */
#endif
  while (fsync(fd) != 0) {
    if (is_unsupported(errno)) return 0;
    if (errno != EINTR) return errno;
  }
  return 0;
}

/* Brings the directory entry of `path` to the disk. Best effort: without it a power failure may
** undo a rename, and what is left is still one complete file. */
static void sync_directory(const char *path) {
  size_t length = (size_t)(name_in(path) - path);
  char *directory = malloc(length + sizeof ".");
  if (directory == NULL) return;
  memcpy(directory, path, length);
  memcpy(directory + length, ".", sizeof ".");
  int fd = open(directory, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
  free(directory);
  if (fd < 0) return;
  (void)fsync(fd);
  (void)close(fd);
}

/* Gives the open file the permissions of the one that it replaces; false when there is none. */
static bool keep_mode(int fd, const char *path) {
  struct stat status;
  if (lstat(path, &status) != 0 || !S_ISREG(status.st_mode)) return false;
  (void)fchmod(fd, status.st_mode & 0777);
  return true;
}

/* A rename that fails with EEXIST; other errnos than 0 and EEXIST may mean that there is none. */
static int rename_exclusively(const char *from, const char *to) {
#if defined(__linux__) && defined(SYS_renameat2)
  const unsigned no_replace = 1; /* RENAME_NOREPLACE, which glibc shows under _GNU_SOURCE only */
  return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, no_replace) == 0 ? 0 : errno;
#elif defined(__APPLE__) && defined(RENAME_EXCL)
  return renamex_np(from, to, RENAME_EXCL) == 0 ? 0 : errno;
#else
  (void)from;
  (void)to;
  return ENOSYS;
#endif
}

/* The new name is given by the kernel only where nothing has it. Where neither way exists, failing
** is all that keeps both promises: a check before a rename would leave a gap between them. */
static qhub_file_result move_to_free_name(const char *from, const char *to) {
  int error = rename_exclusively(from, to);
  if (!is_unsupported(error)) return result_of(error);
  if (link(from, to) == 0) {
    (void)unlink(from);
    return SUCCESS;
  }
  if (!is_unsupported(errno)) return result_of(errno);
  return failure(ENOTSUP, "the file system has no way to leave an existing file alone");
}

/* The permissions of a new file in this place. Only making one shows them: the umask cannot be read
** without being changed for all threads, and a folder may have rules of its own. */
static mode_t new_mode(const qhub_partfile *part) {
  struct stat status = {.st_mode = PRIVATE};
  char *path;
  if (make_random_path(part->target, &path) != 0) return PRIVATE;
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd >= 0) {
    (void)fstat(fd, &status);
    (void)unlink(path);
    (void)close(fd);
  }
  free(path);
  return status.st_mode & 0777;
}

qhub_file_result qhub_partfile_commit(qhub_partfile *part, bool overwrite) {
  if (!has_its_name(part)) return failure(ESTALE, "its part was moved or removed by somebody else");
  qhub_file_result result = result_of(sync_file(part->fd));
  if (result.number != 0) return result;
  if (!keep_mode(part->fd, part->target)) (void)fchmod(part->fd, new_mode(part));
  if (!overwrite) {
    result = move_to_free_name(part->path, part->target);
  } else if (rename(part->path, part->target) != 0) {
    result = result_of(errno);
  }
  if (result.number != 0) return result;
  sync_directory(part->target);
  close_descriptor(part);
  forget_paths(part);
  return SUCCESS;
}
