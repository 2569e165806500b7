/* A part file: see partfile.h. */
#include "partfile.h"

#include "../text/characters.h"
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

/* Every function that returns an int returns 0 or an errno. */

static int fail(qhub_partfile *part, int number, const char *reason) {
  part->reason = reason;
  return number;
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

/* DIRECTORY/.NAME[.HASH]MARK.qhub-part; the hash only where the name is cut. */
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

void qhub_partfile_close(qhub_partfile *part) {
  if (part->target == NULL) return;
  bool ours = part->fd >= 0 && part->maker == getpid();
  if (ours && !part->kept && has_its_name(part)) (void)unlink(part->path);
  close_descriptor(part);
  free(part->path);
  free(part->target);
  part->path = NULL;
  part->target = NULL;
}

/* What both ways to open begin with. */
static int prepare(qhub_partfile *part, const char *target) {
  const char *name = name_in(target);
  *part = (qhub_partfile){.fd = -1, .maker = getpid()};
  if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
    return fail(part, EISDIR, "is not the name of a file");
  }
  part->target = strdup(target);
  return part->target == NULL ? ENOMEM : 0;
}

static int lock(int fd) {
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

/* Opens, locks and checks what has the part's name. `fresh`: what is there already is not wanted.
** `*again`: it was not fit, or is no longer there, and another attempt may succeed. */
static int open_once(qhub_partfile *part, bool fresh, bool *again) {
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
    return fail(part, errno, errno == ELOOP ? "is a symbolic link, and none is followed" : NULL);
  }
  int error = identify(part, &status);
  if (error != 0) return error;
  if (!S_ISREG(status.st_mode)) return fail(part, EINVAL, "is not a regular file");
  error = lock(part->fd);
  if (error == EWOULDBLOCK) return fail(part, EAGAIN, "another download is writing it");
  if (fresh && !stale) error = 0; /* it is new, and ours even where there are no locks */
  if (error == 0) error = identify(part, &status); /* the size may have changed before the lock */
  if (error != 0) return error;
  if (!has_its_name(part)) { /* whoever had the lock has renamed or removed it */
    *again = true;
  } else if (stale || status.st_uid != geteuid() || status.st_nlink != 1) {
    *again = true;
    if (unlink(part->path) != 0) return errno;
  }
  return 0;
}

/* Opens and locks the file that has the part's name, or makes it. */
static int open_marked(qhub_partfile *part, const char *mark, bool fresh) {
  bool again = true;
  part->reason = NULL;
  free(part->path);
  int error = make_part_path(part->target, mark, &part->path);
  for (int attempts = ATTEMPTS; again && error == 0; attempts--) {
    close_descriptor(part);
    error = attempts > 0 ? open_once(part, fresh, &again) : EBUSY;
  }
  if (error != 0) close_descriptor(part);
  return error;
}

int qhub_partfile_create(qhub_partfile *part, const char *target) {
  uint64_t bits = 0;
  char mark[sizeof ".0123456789abcdef"];
  int error = prepare(part, target);
  if (error != 0) return error;
  /* The first name is always the same: a process that was killed leaves its part under it, and the
  ** next download of that target removes it. A random name is for a second download meanwhile, and
  ** where the first name has something that cannot be locked or removed. */
  do {
    (void)snprintf(mark, sizeof mark, ".%016llx", (unsigned long long)bits);
    error = open_marked(part, mark, true);
  } while (error != 0 && bits == 0 && getentropy(&bits, sizeof bits) == 0);
  if (error != 0) qhub_partfile_close(part);
  return error;
}

int qhub_partfile_resume(qhub_partfile *part, const char *target) {
  int error = prepare(part, target);
  if (error == 0) error = open_marked(part, "", false);
  if (error != 0) qhub_partfile_close(part);
  return error;
}

int qhub_partfile_append(qhub_partfile *part, const char *bytes, size_t length) {
  size_t written = 0;
  if (part->error == 0) {
    part->error = qhub_file_write(part->fd, bytes, length, part->size, &written);
  }
  part->size += (int64_t)written;
  return part->error;
}

int qhub_partfile_truncate(qhub_partfile *part, int64_t size) {
  while (ftruncate(part->fd, (off_t)size) != 0) {
    if (errno != EINTR) return errno;
  }
  part->size = size;
  return 0;
}

/* Whether the errno is one of the ways in which systems say that they cannot do this at all. EPERM
** is how some sandboxes say ENOSYS, and some file systems "no links". */
static bool is_unsupported(int error) {
  return error == EINVAL || error == ENOSYS || error == ENOTSUP || error == EPERM;
}

/* Brings the file's bytes to the disk, as far as its file system knows how. */
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
static int move_to_free_name(qhub_partfile *part) {
  int error = rename_exclusively(part->path, part->target);
  if (!is_unsupported(error)) return error;
  if (link(part->path, part->target) == 0) {
    (void)unlink(part->path);
    return 0;
  }
  if (!is_unsupported(errno)) return errno;
  return fail(part, ENOTSUP, "the file system has no way to leave an existing file alone");
}

/* The permissions of what is to have the target's name: those of the file that it replaces, else
** of a new file in this place. Only making one shows these: the umask cannot be read without being
** changed for all threads, and a folder may have rules of its own. */
static mode_t mode_of_target(const qhub_partfile *part) {
  struct stat status;
  uint64_t bits;
  char mark[sizeof ".0123456789abcdef"], *path;
  if (lstat(part->target, &status) == 0 && S_ISREG(status.st_mode)) return status.st_mode & 0777;
  if (getentropy(&bits, sizeof bits) != 0) return PRIVATE;
  (void)snprintf(mark, sizeof mark, ".%016llx", (unsigned long long)bits);
  if (make_part_path(part->target, mark, &path) != 0) return PRIVATE;
  status.st_mode = PRIVATE;
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd >= 0) {
    (void)fstat(fd, &status);
    (void)unlink(path);
    (void)close(fd);
  }
  free(path);
  return status.st_mode & 0777;
}

int qhub_partfile_commit(qhub_partfile *part, bool overwrite) {
  part->reason = NULL;
  if (!has_its_name(part)) {
    return fail(part, ESTALE, "its part was moved or removed by somebody else");
  }
  int error = sync_file(part->fd);
  if (error != 0) return error;
  (void)fchmod(part->fd, mode_of_target(part));
  if (!overwrite) {
    error = move_to_free_name(part);
  } else if (rename(part->path, part->target) != 0) {
    error = errno;
  }
  if (error != 0) return error;
  qhub_partfile_close(part); /* removes nothing: the part has lost its name */
  return 0;
}
