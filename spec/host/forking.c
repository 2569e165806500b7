/*
** A Lua module with fork(), for spec/promises/fork_spec.lua.
*/
#include <lauxlib.h>
#include <lua.h>
#include <sys/wait.h>
#include <unistd.h>

/* fork() -> 0 in the child, else its id   [-0, +1] */
static int fork_process(lua_State *L) {
  lua_pushinteger(L, fork());
  return 1;
}

/* wait(id) -> exit status, or 128 and the signal   [-1, +1] */
static int wait_for(lua_State *L) {
  int status = 0;
  (void)waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0);
  lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return 1;
}

/* leave(status): ends the process without closing the state   [-1, +0] */
static int leave(lua_State *L) {
  _exit((int)luaL_checkinteger(L, 1));
}

int luaopen_forking(lua_State *L);
int luaopen_forking(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"fork", fork_process}, {"wait", wait_for}, {"leave", leave}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
