/*
** Runs the scenarios of alloc.lua again and again while memory gives out: in each run one
** allocation more succeeds before one fails, until a run meets no failure.
**
** Two sources of memory are at its mercy: the allocator of the Lua state, and malloc and its
** relatives as everything else in the process calls them (qhub's own C, libcurl, cJSON, the C
** library), which this program defines itself. Both count only while a scenario runs. Modes:
**
**   collect   one allocation of Lua's fails and is granted when Lua, after an emergency collection,
**             asks again: every scenario must succeed
**   once      one allocation fails (Lua's a second time as well), all later ones succeed
**   all       from one allocation on, everything fails
**
** After each failure: the scenario succeeded with the right answer, returned nil and an error
** object, or raised "not enough memory"; and what alloc.lua's `settle` checks holds. After each
** group of failures, in the same state: the scenario runs clean, no descriptor is left, Lua's
** memory is what it was; and after lua_close nothing at all is left, neither Lua's nor malloc's.
**
** usage: alloc [-a] [-m MODE] [-o SCENARIO] [-f FIRST] [-g GROUP] [-v] [FILE]
** Needs a gateway simulator: QHUB_BASE_URL and QHUB_TOKEN (scripts/with_gateway.sh).
*/
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- memory that fails on demand ---- */

typedef enum { MODE_COLLECT = 0, MODE_ONCE, MODE_ALL, MODES } failure_mode;

static const char *const mode_names[MODES] = {"collect", "once", "all"};

enum { MOST_FRAMES = 24 };

typedef struct {
  void *block;
  size_t old_size, new_size;
} lua_request;

static struct {
  bool armed;
  failure_mode mode;
  long count;  /* allocations since it was armed */
  long target; /* the one that fails */
  long failed;
  bool expects_again; /* Lua asks for `refused` a second time */
  lua_request refused;
  pthread_t thread;
  void *frames[MOST_FRAMES]; /* where the first one failed */
  int frame_count;
} memory;

static atomic_long live_blocks; /* of malloc */

/* What runs below malloc may run before a sanitizer has started. */
#define RAW __attribute__((no_sanitize("address", "undefined")))

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static int (*next_memalign)(void **, size_t, size_t);
static void (*next_free)(void *);

/* dlsym may allocate: such blocks come from here and are never given back. */
static _Alignas(16) char early[16384];
static size_t early_used;

RAW static void *early_block(size_t size) {
  size_t start = early_used;
  early_used += (size + 15) / 16 * 16;
  if (early_used > sizeof early) abort();
  return early + start;
}

RAW static bool is_early(const void *block) {
  uintptr_t at = (uintptr_t)block;
  return at >= (uintptr_t)early && at < (uintptr_t)early + sizeof early;
}

/* The definition of a function that comes after this program's own. */
RAW static void find_next(const char *name, void *into, size_t size) {
  void *found = dlsym(RTLD_NEXT, name);
  if (found == NULL) abort();
  memcpy(into, &found, size);
}

/* False while the real functions are being looked for. */
RAW static bool is_ready(void) {
  static bool looking;
  if (next_free != NULL) return true;
  if (looking) return false;
  looking = true;
  find_next("malloc", &next_malloc, sizeof next_malloc);
  find_next("calloc", &next_calloc, sizeof next_calloc);
  find_next("realloc", &next_realloc, sizeof next_realloc);
  find_next("posix_memalign", &next_memalign, sizeof next_memalign);
  find_next("free", &next_free, sizeof next_free);
  return true;
}

/* Whether the allocation that is asked for now shall fail. */
RAW static bool fails(bool is_lua) {
  if (!memory.armed || !pthread_equal(memory.thread, pthread_self())) return false;
  if (!is_lua && memory.mode == MODE_COLLECT) return false;
  memory.count++;
  if (memory.count < memory.target) return false;
  if (memory.count > memory.target && memory.mode != MODE_ALL) return false;
  if (memory.failed++ == 0) {
    memory.armed = false;
    memory.frame_count = backtrace(memory.frames, MOST_FRAMES);
    memory.armed = true;
  }
  return true;
}

RAW static void *note(void *block) {
  if (block != NULL) atomic_fetch_add(&live_blocks, 1);
  return block;
}

RAW static void *refuse(void) {
  errno = ENOMEM;
  return NULL;
}

RAW void *malloc(size_t size) {
  if (!is_ready()) return early_block(size);
  return fails(false) ? refuse() : note(next_malloc(size));
}

RAW void *calloc(size_t count, size_t size) {
  if (!is_ready()) return early_block(count * size); /* zeroed: static */
  return fails(false) ? refuse() : note(next_calloc(count, size));
}

RAW void *realloc(void *block, size_t size) {
  if (!is_ready() || is_early(block)) abort();
  if (block == NULL) return malloc(size);
  if (size > 0 && fails(false)) return refuse();
  void *moved = next_realloc(block, size);
  if (moved == NULL && size == 0) atomic_fetch_sub(&live_blocks, 1);
  return moved;
}

RAW int posix_memalign(void **block, size_t alignment, size_t size) {
  if (!is_ready()) abort();
  if (fails(false)) return ENOMEM;
  int failure = next_memalign(block, alignment, size);
  if (failure == 0) (void)note(*block);
  return failure;
}

RAW void *aligned_alloc(size_t alignment, size_t size) {
  void *block;
  return posix_memalign(&block, alignment, size) == 0 ? block : NULL;
}

RAW void free(void *block) {
  if (block == NULL || is_early(block) || !is_ready()) return;
  atomic_fetch_sub(&live_blocks, 1);
  next_free(block);
}

/* A sanitizer's own would not come by the malloc above. */
char *strdup(const char *text) {
  size_t size = strlen(text) + 1;
  char *copy = malloc(size);
  return copy != NULL ? memcpy(copy, text, size) : NULL;
}

char *strndup(const char *text, size_t most) {
  size_t length = strnlen(text, most);
  char *copy = malloc(length + 1);
  if (copy == NULL) return NULL;
  copy[length] = '\0';
  return memcpy(copy, text, length);
}

static struct { size_t bytes, blocks; } lua_memory;

/* The allocator of the Lua states. Shrinking and freeing never fail. */
static void *allocate(void *user, void *block, size_t old_size, size_t new_size) {
  (void)user;
  if (block == NULL) old_size = 0;
  if (new_size == 0) {
    if (block != NULL) lua_memory.blocks--;
    lua_memory.bytes -= old_size;
    next_free(block);
    return NULL;
  }
  if (new_size > old_size) {
    const lua_request *refused = &memory.refused;
    bool is_again = memory.expects_again && refused->block == block &&
                    refused->old_size == old_size && refused->new_size == new_size;
    if (is_again) {
      memory.expects_again = false;
      if (memory.mode != MODE_COLLECT) return NULL;
    } else if (fails(true)) {
      memory.expects_again = memory.mode != MODE_ALL;
      memory.refused = (lua_request){block, old_size, new_size};
      return NULL;
    }
  }
  void *moved = next_realloc(block, new_size);
  if (moved == NULL) return NULL;
  if (block == NULL) lua_memory.blocks++;
  lua_memory.bytes += new_size - old_size;
  return moved;
}

static void arm(failure_mode mode, long target) {
  memory.mode = mode;
  memory.target = target;
  memory.count = memory.failed = 0;
  memory.expects_again = false;
  memory.thread = pthread_self();
  memory.armed = true;
}

#if defined(__SANITIZE_ADDRESS__)
/* The leak checker knows what the dynamic linker keeps by who calls malloc: here, this program. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
  return "leak:_dl_map_object_deps\nleak:_dl_open\n";
}

const char *__lsan_default_options(void);
const char *__lsan_default_options(void) {
  return "print_suppressions=0";
}
#endif

/* ---- descriptors ---- */

enum { MOST_DESCRIPTORS = 256 };

static int open_descriptors(void) {
  int count = 0;
  for (int fd = 0; fd < MOST_DESCRIPTORS; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

/* How many are open beyond `expected`. A thread in which libcurl looks up a name, as it does when
** it has no memory to see that there is none in the URL, closes its last one when it gets to it. */
static int descriptors_left(int expected) {
  const struct timespec pause = {.tv_sec = 0, .tv_nsec = 10 * 1000 * 1000};
  for (int i = 0; i < 300 && open_descriptors() > expected; i++) (void)nanosleep(&pause, NULL);
  return open_descriptors() - expected;
}

static void list_descriptors(void) {
  char path[64], target[256];
  for (int fd = 0; fd < MOST_DESCRIPTORS; fd++) {
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length >= 0) fprintf(stderr, "alloc: descriptor %d: %.*s\n", fd, (int)length, target);
  }
}

/* ---- a run that does not end ---- */

enum { PATIENCE = 20 }; /* seconds */

static lua_State *running;

/* Says where Lua is, and ends the process. */
static void give_up(lua_State *L, lua_Debug *event) {
  (void)event;
  lua_sethook(L, NULL, 0, 0);
  memory.armed = false;
  luaL_traceback(L, L, "alloc: a run does not end", 0);
  fprintf(stderr, "%s\n", lua_tostring(L, -1));
  exit(1);
}

static void on_alarm(int number) {
  (void)number;
  lua_sethook(running, give_up, LUA_MASKCALL | LUA_MASKCOUNT, 1);
}

/* ---- scenarios ---- */

static struct {
  const char *file;
  const char *only;
  int mode; /* -1: all of them */
  bool all; /* no strides */
  long first;
  int group; /* 0: as the scenario says */
  int verbose;
} settings = {"spec/host/alloc.lua", NULL, -1, false, 1, 0, 0};

static struct { long points, raised, returned, survived; } totals;

static void die(const char *scenario, failure_mode mode, long n, const char *what,
                const char *detail) {
  fprintf(stderr, "alloc: scenario %s, mode %s, allocation %ld: %s: %s\n", scenario,
          mode_names[mode], n, what, detail != NULL ? detail : "(no message)");
  if (memory.frame_count > 0) {
    fprintf(stderr, "alloc: the allocation that failed (last):\n");
    backtrace_symbols_fd(memory.frames, memory.frame_count, STDERR_FILENO);
  }
  fprintf(stderr, "alloc: again with -o '%s' -m %s -f %ld\n", scenario, mode_names[mode], n);
  exit(1);
}

/* Calls the field `name` of the scenario at index 1 without arguments; true when there is none.
** [-0, +0 or the error message] */
static bool call_field(lua_State *L, const char *name) {
  if (lua_getfield(L, 1, name) == LUA_TNIL) {
    lua_pop(L, 1);
    return true;
  }
  return lua_pcall(L, 0, 0, 0) == LUA_OK;
}

/* Runs the scenario at index 1 once, with the n-th allocation failing (0: none). Returns whether
** one failed. Ends the process when the outcome is none of those that are right. */
static bool run_once(lua_State *L, const char *name, failure_mode mode, long n) {
  lua_settop(L, 1);
  if (!call_field(L, "prepare")) die(name, mode, n, "prepare", lua_tostring(L, -1));
  lua_getfield(L, 1, "judge");
  lua_getfield(L, 1, "run");
  if (settings.verbose > 1) fprintf(stderr, "%s, %s, %ld\n", name, mode_names[mode], n);
  arm(mode, n > 0 ? n : -1);
  if (n == 0) memory.armed = false;
  running = L;
  (void)alarm(PATIENCE);
  int status = lua_pcall(L, 0, 2, 0);
  memory.armed = false;
  (void)alarm(0);
  bool met = memory.failed > 0;
  if (status == LUA_OK) {
    /* judge(first, second, met) raises when that cannot be right */
    bool is_nil = lua_isnil(L, -2);
    lua_pushboolean(L, met && mode != MODE_COLLECT);
    if (lua_pcall(L, 3, 0, 0) != LUA_OK) die(name, mode, n, "judge", lua_tostring(L, -1));
    if (met) ++*(is_nil ? &totals.returned : &totals.survived);
  } else {
    const char *message = lua_tostring(L, -1);
    bool is_memory = message != NULL && strstr(message, "not enough memory") != NULL;
    /* Lua's string buffers do not ask again. */
    bool asked_again = !memory.expects_again;
    if (!is_memory || !met || (mode == MODE_COLLECT && asked_again)) {
      die(name, mode, n, "raised", luaL_tolstring(L, -1, NULL));
    }
    totals.raised++;
  }
  lua_settop(L, 1);
  if (!call_field(L, "settle")) die(name, mode, n, "settle", lua_tostring(L, -1));
  return met;
}

typedef struct {
  long blocks;
  int descriptors;
} balance;

static balance take_balance(void) {
  balance now = {atomic_load(&live_blocks), open_descriptors()};
  return now;
}

/* A state with the scenarios loaded; that of the given name at index 1. */
static lua_State *open_state(const char *name) {
  lua_State *L = lua_newstate(allocate, NULL);
  if (L == NULL) die(name, 0, 0, "lua_newstate", "failed");
  luaL_openlibs(L);
  if (luaL_loadfile(L, settings.file) != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK) {
    die(name, 0, 0, "load", lua_tostring(L, -1));
  }
  lua_getfield(L, -1, "scenarios");
  lua_getfield(L, -1, name);
  lua_insert(L, 1);
  lua_settop(L, 1);
  return L;
}

/* Ends a group: what is left in the state, then what is left of it. Returns the bytes that Lua had
** before the state was closed. */
static size_t close_state(lua_State *L, const char *name, failure_mode mode, long n,
                          int descriptors) {
  lua_settop(L, 1);
  if (!call_field(L, "finish")) die(name, mode, n, "finish", lua_tostring(L, -1));
  lua_settop(L, 1);
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCCOLLECT);
  size_t bytes = lua_memory.bytes;
  int left = descriptors_left(descriptors + 1); /* one is the engine's */
  lua_close(L);
  if (left > 0) {
    char text[64];
    (void)snprintf(text, sizeof text, "%d", left);
    list_descriptors();
    die(name, mode, n, "descriptors left in the state", text);
  }
  if (lua_memory.blocks != 0 || lua_memory.bytes != 0) {
    die(name, mode, n, "memory of Lua's left after lua_close", "");
  }
  return bytes;
}

/* A field of the scenario at index 1. */
static long number_field(lua_State *L, const char *name, long otherwise) {
  lua_getfield(L, 1, name);
  long value = lua_isinteger(L, -1) ? (long)lua_tointeger(L, -1) : otherwise;
  lua_pop(L, 1);
  return value;
}

enum { GROUP = 40 };
/* Of Lua's memory: its table of strings at twice the size (16 KiB), and caches. */
static const size_t SLACK = 24 * 1024;

/* One group of failures in one state, from the n-th allocation on. Returns the first number of the
** next group, or 0 when a run met no failure. */
static long run_group(const char *name, failure_mode mode, long n, size_t clean_bytes) {
  int descriptors = open_descriptors();
  lua_State *L = open_state(name);
  bool met = true;
  long size = settings.group > 0 ? settings.group : number_field(L, "group", GROUP);
  long stride = settings.all ? 1 : number_field(L, "stride", 1);
  for (long i = 0; met && i < size; i++, n += stride) {
    met = run_once(L, name, mode, n);
    totals.points += met;
  }
  (void)run_once(L, name, mode, 0);
  size_t bytes = close_state(L, name, mode, n - stride, descriptors);
  if (clean_bytes > 0 && bytes > clean_bytes + SLACK) {
    char text[64];
    (void)snprintf(text, sizeof text, "%zu bytes, %zu after clean runs", bytes, clean_bytes);
    die(name, mode, n, "Lua keeps more than it should", text);
  }
  return met ? n : 0;
}

/* Runs `run_group`, and once more when something of malloc's is left: what is made once in a
** process is no leak. */
static long run_group_balanced(const char *name, failure_mode mode, long n, size_t clean_bytes) {
  balance before = take_balance();
  long next = 0;
  for (int try = 0; try < 3; try++) {
    next = run_group(name, mode, n, clean_bytes);
    (void)descriptors_left(before.descriptors);
    balance after = take_balance();
    if (after.descriptors != before.descriptors) {
      die(name, mode, n, "descriptors left after lua_close", "");
    }
    if (after.blocks <= before.blocks) return next;
    before = after;
  }
  die(name, mode, n, "blocks of malloc's left after lua_close (or in the group after it)", "");
  return next;
}

/* What Lua holds after clean runs of a scenario. Warms up what the process keeps. */
static size_t measure_clean(const char *name) {
  int descriptors = open_descriptors();
  size_t bytes = 0;
  for (int i = 0; i < 2; i++) {
    lua_State *L = open_state(name);
    for (int j = 0; j < 3; j++) (void)run_once(L, name, 0, 0);
    bytes = close_state(L, name, 0, 0, descriptors);
  }
  return bytes;
}

static double seconds(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void run_scenario(const char *name) {
  double began = seconds();
  size_t clean_bytes = measure_clean(name);
  for (int mode = 0; mode < MODES; mode++) {
    if (settings.mode >= 0 && settings.mode != mode) continue;
    long before = totals.points;
    long n = settings.first;
    while (n > 0) n = run_group_balanced(name, mode, n, clean_bytes);
    if (settings.verbose) {
      printf("%-16s %-8s %6ld points, %6.2f s so far\n", name, mode_names[mode],
             totals.points - before, seconds() - began);
      fflush(stdout);
    }
  }
}

/* Fills `names` with the scenarios' names in their order; the caller frees each. */
static size_t list_scenarios(char **names, size_t most) {
  lua_State *L = luaL_newstate();
  if (L == NULL) exit(1);
  luaL_openlibs(L);
  if (luaL_dofile(L, settings.file) != LUA_OK) {
    fprintf(stderr, "alloc: %s\n", lua_tostring(L, -1));
    exit(1);
  }
  lua_getfield(L, -1, "order");
  size_t count = (size_t)lua_rawlen(L, -1);
  if (count > most) count = most;
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    names[i] = strdup(lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  lua_close(L);
  return count;
}

static void parse_arguments(int argc, char **argv) {
  int option;
  while ((option = getopt(argc, argv, "am:o:f:g:v")) != -1) {
    switch (option) {
      case 'a': settings.all = true; break;
      case 'f': settings.first = strtol(optarg, NULL, 10); break;
      case 'g': settings.group = (int)strtol(optarg, NULL, 10); break;
      case 'o': settings.only = optarg; break;
      case 'v': settings.verbose++; break;
      case 'm':
        for (int mode = 0; mode < MODES; mode++) {
          if (strcmp(optarg, mode_names[mode]) == 0) settings.mode = mode;
        }
        break;
      default: exit(2);
    }
  }
  if (optind < argc) settings.file = argv[optind];
}

int main(int argc, char **argv) {
  enum { MOST = 64 };
  char *names[MOST];
  parse_arguments(argc, argv);
  (void)signal(SIGALRM, on_alarm);
  (void)backtrace(memory.frames, MOST_FRAMES); /* loads what it needs */
  memory.frame_count = 0;
  size_t count = list_scenarios(names, MOST);
  for (size_t i = 0; i < count; i++) {
    if (settings.only == NULL || strcmp(settings.only, names[i]) == 0) run_scenario(names[i]);
    free(names[i]);
  }
  printf("alloc: %ld points failed, 0 leaks (%ld raised, %ld returned an error, %ld got over it)\n",
         totals.points, totals.raised, totals.returned, totals.survived);
  return totals.points > 0 ? 0 : 1;
}
