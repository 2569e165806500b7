/* A part file: see partfile.h. */
#include "partfile.h"

#include "../text/utf8.h"
#include "files.h"
#include "random.h"

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

static const mode_t PRIVATE = S_IRUSR | S_IWUSR; /* other users cannot read what is not complete */

enum {
  ATTEMPTS = 16,     /* at a name that others take, or a part that others rename */
  LONGEST_STEM = 80, /* bytes of the target's name in the part's: some file systems end at 143 */
  MARKS_SIZE = sizeof "..0123456789abcdef.0123456789abcdef.qhub-part",
};

/* Of a part that is not to be resumed. */
static const char FIRST_MARK[] = ".0000000000000000";

static const qhub_file_outcome SUCCESS = {0, NULL};

static qhub_file_outcome failure(int number, const char *reason) {
  return (qhub_file_outcome){number, reason};
}

/* 0 or an errno */
static qhub_file_outcome outcome_of(int number) {
  return failure(number, NULL);
}

void qhub_partfile_init(qhub_partfile *part) {
  memset(part, 0, sizeof *part);
  part->fd = -1;
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
  const char *name = qhub_file_name(target);
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
  int error = qhub_random_bits(&bits);
  if (error != 0) return error;
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
  bool ours = part->fd >= 0 && part->maker == getpid();
  if (ours && !part->kept && has_its_name(part)) (void)unlink(part->path);
  close_descriptor(part);
  forget_paths(part);
}

/* What both ways to open begin with. */
static qhub_file_outcome prepare(qhub_partfile *part, const char *target) {
  const char *name = qhub_file_name(target);
  qhub_partfile_init(part);
  if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
    return failure(EISDIR, "is not the name of a file");
  }
  part->maker = getpid();
  part->target = strdup(target);
  return outcome_of(part->target == NULL ? ENOMEM : 0);
}

static int lock(int fd) {
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

/* Opens, locks and judges what has the part's name. `fresh`: what is there already is not wanted.
** `*again`: it was not fit, or is no longer there, and the next attempt may fare better. */
static qhub_file_outcome open_once(qhub_partfile *part, bool fresh, bool *again) {
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
  if (error != 0) return outcome_of(error);
  if (!S_ISREG(status.st_mode)) return failure(EINVAL, "is not a regular file");
  error = lock(part->fd);
  if (error == EWOULDBLOCK) return failure(EAGAIN, "another download is writing it");
  if (fresh && !stale) error = 0; /* it is new, and ours even where there are no locks */
  if (error == 0) error = identify(part, &status); /* the size may have changed before the lock */
  if (error != 0) return outcome_of(error);
  if (!has_its_name(part)) { /* whoever had the lock has renamed or removed it */
    *again = true;
  } else if (stale || status.st_uid != geteuid() || status.st_nlink != 1) {
    *again = true;
    if (unlink(part->path) != 0) return outcome_of(errno);
  }
  return SUCCESS;
}

/* Opens and locks the file that has the part's name, or makes it. */
static qhub_file_outcome open_locked(qhub_partfile *part, bool fresh) {
  qhub_file_outcome outcome = SUCCESS;
  bool again = true;
  for (int attempts = ATTEMPTS; again && outcome.number == 0; attempts--) {
    close_descriptor(part);
    outcome = attempts > 0 ? open_once(part, fresh, &again) : failure(EBUSY, NULL);
  }
  if (outcome.number != 0) close_descriptor(part);
  return outcome;
}

/* Makes a part with a random name. Returns 0 or an errno. */
static int create_once(qhub_partfile *part) {
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
qhub_file_outcome qhub_partfile_create(qhub_partfile *part, const char *target) {
  qhub_file_outcome outcome = prepare(part, target);
  if (outcome.number == 0) outcome = outcome_of(make_part_path(target, FIRST_MARK, &part->path));
  if (outcome.number == 0 && open_locked(part, true).number != 0) {
    int attempts = ATTEMPTS;
    do outcome = outcome_of(create_once(part));
    while (outcome.number == EEXIST && --attempts > 0);
  }
  if (outcome.number != 0) qhub_partfile_close(part);
  return outcome;
}

qhub_file_outcome qhub_partfile_resume(qhub_partfile *part, const char *target) {
  qhub_file_outcome outcome = prepare(part, target);
  if (outcome.number == 0) outcome = outcome_of(make_part_path(target, "", &part->path));
  if (outcome.number == 0) outcome = open_locked(part, false);
  if (outcome.number != 0) qhub_partfile_close(part);
  return outcome;
}

qhub_file_outcome qhub_partfile_append(qhub_partfile *part, const char *bytes, size_t length) {
  size_t written;
  int error = qhub_file_write_at(part->fd, bytes, length, part->size, &written);
  part->size += (int64_t)written;
  return outcome_of(error);
}

qhub_file_outcome qhub_partfile_truncate(qhub_partfile *part, int64_t size) {
  while (ftruncate(part->fd, (off_t)size) != 0) {
    if (errno != EINTR) return outcome_of(errno);
  }
  part->size = size;
  return SUCCESS;
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

/* EPERM is how some sandboxes say ENOSYS, and some file systems "no links". */
static bool is_unsupported(int error) {
  return error == EPERM || qhub_file_is_unsupported(error);
}

/* The new name is given by the kernel only where nothing has it. Where neither way exists, failing
** is all that keeps both promises: a check before a rename would leave a gap between them. */
static qhub_file_outcome move_to_free_name(const char *from, const char *to) {
  int error = rename_exclusively(from, to);
  if (!is_unsupported(error)) return outcome_of(error);
  if (link(from, to) == 0) {
    (void)unlink(from);
    return SUCCESS;
  }
  if (!is_unsupported(errno)) return outcome_of(errno);
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

qhub_file_outcome qhub_partfile_commit(qhub_partfile *part, bool overwrite) {
  if (!has_its_name(part)) return failure(ESTALE, "its part was moved or removed by somebody else");
  qhub_file_outcome outcome = outcome_of(qhub_file_sync(part->fd));
  if (outcome.number != 0) return outcome;
  if (!qhub_file_keep_mode(part->fd, part->target)) (void)fchmod(part->fd, new_mode(part));
  if (!overwrite) {
    outcome = move_to_free_name(part->path, part->target);
  } else if (rename(part->path, part->target) != 0) {
    outcome = outcome_of(errno);
  }
  if (outcome.number != 0) return outcome;
  qhub_file_sync_directory(part->target);
  close_descriptor(part);
  forget_paths(part);
  return SUCCESS;
}
