/*
** Hosts that the stock interpreter is not: each case of embed.lua runs in a process of its own,
** made as the case says, and must end as the case says.
**
**   sandbox      no io, os, debug when qhub is required
**   locale       LC_ALL is de_DE.UTF-8, where numbers have a comma
**   moved        the current directory is another one, package.path was a relative one
**   sigpipe      SIGPIPE has its default action, and peers hang up
**   no stderr    nobody reads standard error, where the default logger writes
**   children     started while transfers are open: they inherit no descriptor
**   forked       a child of fork() ends while its parent's transfers are open
**   closed       lua_close with files, calls and tasks under way
**   finalizers   of the program's, which lua_close runs, use what is being closed
**   exit         os.exit(n, true) closes the state from within callbacks and tasks
**   refused      an allocator with a limit for all of the state
**
** usage: embed [-v] [CASE...]
** Needs a gateway simulator: QHUB_BASE_URL and QHUB_TOKEN (scripts/with_gateway.sh). Without the
** sources of locales (Debian: locales) the case "locale" tells that it was left out.
*/
#include <arpa/inet.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <locale.h>
#include <lualib.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>

/* The C library keeps what it has read from LOCPATH. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
  return "leak:argz_add_sep\n";
}

const char *__lsan_default_options(void);
const char *__lsan_default_options(void) {
  return "print_suppressions=0";
}
#endif

typedef enum { PASSED = 0, FAILED = 1, LEFT_OUT = 77 } case_result;

static char script[4096]; /* absolute, for cases that move */
static bool verbose;

/* ---- states ---- */

static lua_State *open_state(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) exit(FAILED);
  luaL_openlibs(L);
  return L;
}

/* Calls the function `name` of embed.lua with the integer `argument`. [-0, +1 when it is true] */
static bool call(lua_State *L, const char *name, lua_Integer argument) {
  if (luaL_loadfile(L, script) == LUA_OK && lua_pcall(L, 0, 1, 0) == LUA_OK) {
    lua_getfield(L, -1, name);
    lua_pushinteger(L, argument);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK) return true;
  }
  fprintf(stderr, "embed: %s: %s\n", name, luaL_tolstring(L, -1, NULL));
  return false;
}

static case_result run_in(lua_State *L, const char *name, lua_Integer argument) {
  bool fine = call(L, name, argument);
  lua_close(L);
  return fine ? PASSED : FAILED;
}

/* ---- peers that hang up ---- */

/* A child process that accepts connections, reads a little and resets them. Returns its port. */
static int start_rude_server(pid_t *server) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t length = sizeof address;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 16) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
    exit(FAILED);
  }
  *server = fork();
  if (*server == 0) {
    (void)alarm(60); /* ends by itself when nobody ends it */
    for (;;) {
      char bytes[512];
      int peer = accept(listener, NULL, NULL);
      if (peer < 0) continue;
      struct linger reset = {.l_onoff = 1, .l_linger = 0};
      (void)setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
      if (read(peer, bytes, sizeof bytes) >= 0) (void)close(peer);
    }
  }
  (void)close(listener);
  return ntohs(address.sin_port);
}

/* ---- cases ---- */

static case_result sandbox(void) {
  lua_State *L = open_state();
  static const char *const taken[] = {"io", "os", "debug"};
  for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
    lua_pushnil(L);
    lua_setglobal(L, taken[i]);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushnil(L);
    lua_setfield(L, -2, taken[i]);
    lua_pop(L, 1);
  }
  lua_pushstring(L, getenv("QHUB_BASE_URL"));
  lua_setglobal(L, "BASE_URL");
  lua_pushstring(L, getenv("QHUB_TOKEN"));
  lua_setglobal(L, "TOKEN");
  return run_in(L, "sandbox", 0);
}

static case_result in_german(void) {
  char folder[] = "/tmp/qhub-locale-XXXXXX";
  char command[256];
  if (mkdtemp(folder) == NULL) return FAILED;
  (void)snprintf(command, sizeof command,
                 "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1", folder);
  bool made = system(command) == 0;
  (void)setenv("LOCPATH", folder, 1);
  made = made && setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
  made = made && strcmp(localeconv()->decimal_point, ",") == 0;
  (void)snprintf(command, sizeof command, "rm -rf %s", folder);
  if (system(command) != 0) return FAILED;
  return made ? run_in(open_state(), "in_german", 0) : LEFT_OUT;
}

static case_result moved(void) {
  lua_State *L = open_state();
  if (luaL_dostring(L, "package.path = './lua/?.lua;./lua/?/init.lua' qhub = require 'qhub'"
                       " package.path = ''") != LUA_OK ||
      chdir("/") != 0) {
    return FAILED;
  }
  return run_in(L, "moved", 0);
}

static case_result with_sigpipe(void) {
  pid_t server;
  (void)signal(SIGPIPE, SIG_DFL);
  int port = start_rude_server(&server);
  case_result result = run_in(open_state(), "with_sigpipe", port);
  (void)kill(server, SIGKILL);
  (void)waitpid(server, NULL, 0);
  return result;
}

static case_result without_stderr(void) {
  int ends[2];
  (void)signal(SIGPIPE, SIG_DFL);
  int kept = fcntl(2, F_DUPFD_CLOEXEC, 10);
  if (kept < 0 || pipe(ends) != 0 || dup2(ends[1], 2) < 0) return FAILED;
  (void)close(ends[0]);
  (void)close(ends[1]);
  case_result result = run_in(open_state(), "without_stderr", 0);
  (void)dup2(kept, 2);
  return result;
}

static case_result with_children(void) {
  return run_in(open_state(), "with_children", 0);
}

/* The child has copies of all descriptors. It leaves the state alone, as libcurl wants it. */
static case_result forked(void) {
  lua_State *L = open_state();
  if (!call(L, "before_fork", 0)) return FAILED;
  pid_t child = fork();
  if (child == 0) _exit(PASSED);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) return FAILED;
  return run_in(L, "after_fork", 0);
}

static case_result closed(void) {
  enum { WAYS = 7 };
  for (lua_Integer way = 1; way <= WAYS; way++) {
    lua_State *L = open_state();
    int descriptors = 0, left = 0;
    for (int fd = 0; fd < 256; fd++) descriptors += fcntl(fd, F_GETFD) >= 0;
    if (run_in(L, "leave_open", way) != PASSED) return FAILED;
    for (int fd = 0; fd < 256; fd++) left += fcntl(fd, F_GETFD) >= 0;
    if (left != descriptors) {
      fprintf(stderr, "embed: way %d leaves %d descriptors\n", (int)way, left - descriptors);
      return FAILED;
    }
  }
  return PASSED;
}

static case_result leaving_by_exit(void) {
  enum { WAYS = 5, EXPECTED = 7 };
  for (lua_Integer way = 1; way <= WAYS; way++) {
    pid_t child = fork();
    if (child == 0) {
      (void)run_in(open_state(), "leave_by_exit", way);
      _exit(FAILED); /* it must not come back */
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return FAILED;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != EXPECTED) {
      fprintf(stderr, "embed: way %d of leaving ends with status %d\n", (int)way, status);
      return FAILED;
    }
  }
  return PASSED;
}

/* Lua never finalizes what a finalizer makes during lua_close: the memory (not the descriptor) of a
** call begun there stays, which no library can change. */
static case_result with_finalizers(void) {
#if defined(__SANITIZE_ADDRESS__)
  __lsan_disable();
#endif
  return run_in(open_state(), "with_finalizers", 0);
}

typedef struct {
  size_t used, most;
} purse;

static void *limited(void *user, void *block, size_t old_size, size_t new_size) {
  purse *mine = user;
  if (block == NULL) old_size = 0;
  if (new_size > old_size && mine->used + (new_size - old_size) > mine->most) return NULL;
  void *moved = NULL;
  if (new_size == 0) {
    free(block);
  } else {
    moved = realloc(block, new_size);
    if (moved == NULL) return NULL;
  }
  mine->used = mine->used - old_size + new_size;
  return moved;
}

/* Big answers do not fit, small ones do, again and again. */
static case_result refused(void) {
  purse mine = {0, 3 * 1024 * 1024};
  lua_State *L = lua_newstate(limited, &mine);
  if (L == NULL) return FAILED;
  luaL_openlibs(L);
  case_result result = run_in(L, "refused", 0);
  return mine.used == 0 ? result : FAILED;
}

typedef struct {
  const char *name;
  case_result (*run)(void);
} test_case;

static const test_case cases[] = {
  {"sandbox", sandbox},
  {"locale", in_german},
  {"moved", moved},
  {"sigpipe", with_sigpipe},
  {"no stderr", without_stderr},
  {"children", with_children},
  {"forked", forked},
  {"closed", closed},
  {"finalizers", with_finalizers},
  {"exit", leaving_by_exit},
  {"refused", refused},
};

/* Runs a case in a process of its own. */
static case_result run_case(const test_case *one) {
  int status = 0;
  (void)fflush(NULL);
  pid_t child = fork();
  if (child == 0) exit((int)one->run()); /* with what sanitizers do at exit */
  if (child < 0 || waitpid(child, &status, 0) != child) return FAILED;
  if (WIFSIGNALED(status)) {
    fprintf(stderr, "embed: %s: killed by signal %d\n", one->name, WTERMSIG(status));
    return FAILED;
  }
  return WEXITSTATUS(status) == LEFT_OUT ? LEFT_OUT
         : WEXITSTATUS(status) == PASSED ? PASSED
                                         : FAILED;
}

static bool is_chosen(const char *name, int argc, char **argv) {
  bool any = false;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "-v") == 0) continue;
    any = true;
    if (strcmp(argv[i], name) == 0) return true;
  }
  return !any;
}

int main(int argc, char **argv) {
  if (realpath("spec/host/embed.lua", script) == NULL) return FAILED;
  for (int i = 1; i < argc; i++) verbose = verbose || strcmp(argv[i], "-v") == 0;
  int passed = 0, failed = 0;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    if (!is_chosen(cases[i].name, argc, argv)) continue;
    case_result result = run_case(&cases[i]);
    passed += result == PASSED;
    failed += result == FAILED;
    if (verbose || result != PASSED) {
      printf("embed: %s: %s\n", cases[i].name,
             result == PASSED   ? "passed"
             : result == FAILED ? "FAILED"
                                : "left out");
    }
  }
  printf("embed: %d hosts passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
