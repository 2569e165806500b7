/*
** States that come and go: opens a state, lets threads.lua make a round in it, closes it with a
** file, a call and tasks under way, many times over; neither memory nor descriptors may grow.
**
** usage: states [-n STATES]
** Needs a gateway simulator: QHUB_BASE_URL and QHUB_TOKEN (scripts/with_gateway.sh). Built without
** sanitizers, which keep memory for themselves.
*/
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char script[] = "spec/host/threads.lua";

enum {
  MOST_DESCRIPTORS = 256,
  MOST_GROWTH = 1024 * 1024 /* bytes, over all states but the first tenth */
};

static int open_descriptors(void) {
  int count = 0;
  for (int fd = 0; fd < MOST_DESCRIPTORS; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

/* Bytes of memory that the process has in use. */
static long resident(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL) return 0;
  if (fscanf(file, "%*s %ld", &pages) != 1) pages = 0;
  (void)fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

static bool run_state(long number) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return false;
  luaL_openlibs(L);
  bool fine = luaL_loadfile(L, script) == LUA_OK;
  if (fine) {
    lua_pushinteger(L, 0);
    lua_pushinteger(L, number);
    lua_pushnumber(L, 0); /* one round */
    fine = lua_pcall(L, 3, 0, 0) == LUA_OK;
  }
  if (!fine) fprintf(stderr, "states: %s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return fine;
}

int main(int argc, char **argv) {
  long count = 400;
  int option;
  while ((option = getopt(argc, argv, "n:")) != -1) {
    if (option != 'n') return 2;
    count = strtol(optarg, NULL, 10);
  }
  long warm = count / 10 + 1;
  long memory = 0;
  int descriptors = open_descriptors();
  for (long i = 0; i < count; i++) {
    if (!run_state(i)) return 1;
    if (open_descriptors() != descriptors) {
      fprintf(stderr, "states: state %ld left %d descriptors\n", i,
              open_descriptors() - descriptors);
      return 1;
    }
    if (i + 1 == warm) memory = resident();
  }
  long growth = resident() - memory;
  printf("states: %ld opened and closed, %ld kB of growth, no descriptor left\n", count,
         growth / 1024);
  return growth <= MOST_GROWTH ? 0 : 1;
}
