/*
** Several Lua states in several threads, all at work at once: each thread opens a state, lets
** threads.lua do what programs do for a while, closes the state in the midst of it, and begins
** again, until the time is over. No state may disturb another: threads.lua checks every answer, and
** the build with ThreadSanitizer watches qhub's C.
**
** libcurl, OpenSSL and Lua are not instrumented, so nothing is said about their insides; no report
** has come from there, and so there is no list of suppressions.
**
** usage: threads [-t THREADS] [-d SECONDS]
** Needs a gateway simulator: QHUB_BASE_URL and QHUB_TOKEN (scripts/with_gateway.sh).
*/
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MOST_THREADS = 64 };

static const char script[] = "spec/host/threads.lua";
static const double SLICE = 0.4; /* seconds that one state lives */

typedef struct {
  pthread_t thread;
  int index;
  double until;
  long states;
  long rounds;
  bool failed;
} worker;

static double seconds(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* One state's life. False: something was wrong, and was told. */
static bool run_state(worker *me) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return false;
  luaL_openlibs(L);
  bool fine = luaL_loadfile(L, script) == LUA_OK;
  if (fine) {
    double left = me->until - seconds();
    lua_pushinteger(L, me->index);
    lua_pushinteger(L, me->states);
    lua_pushnumber(L, left < SLICE ? left : SLICE);
    fine = lua_pcall(L, 3, 1, 0) == LUA_OK;
  }
  if (fine) {
    me->rounds += (long)lua_tointeger(L, -1);
  } else {
    fprintf(stderr, "threads: thread %d: %s\n", me->index, luaL_tolstring(L, -1, NULL));
  }
  lua_close(L);
  me->states++;
  return fine;
}

static void *work(void *user) {
  worker *me = user;
  while (!me->failed && seconds() < me->until) me->failed = !run_state(me);
  return NULL;
}

int main(int argc, char **argv) {
  static worker workers[MOST_THREADS];
  int count = 8;
  double duration = 4;
  int option;
  while ((option = getopt(argc, argv, "t:d:")) != -1) {
    switch (option) {
      case 't': count = (int)strtol(optarg, NULL, 10); break;
      case 'd': duration = strtod(optarg, NULL); break;
      default: return 2;
    }
  }
  if (count < 1 || count > MOST_THREADS) return 2;
  double until = seconds() + duration;
  for (int i = 0; i < count; i++) {
    workers[i].index = i + 1;
    workers[i].until = until;
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) return 1;
  }
  long states = 0, rounds = 0;
  bool failed = false;
  for (int i = 0; i < count; i++) {
    (void)pthread_join(workers[i].thread, NULL);
    states += workers[i].states;
    rounds += workers[i].rounds;
    failed = failed || workers[i].failed || workers[i].rounds == 0;
  }
  printf("threads: %d threads, %ld states, %ld rounds in %.0f s: %s\n", count, states, rounds,
         duration, failed ? "FAILED" : "none disturbed another");
  return failed ? 1 : 0;
}
