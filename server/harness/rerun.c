// SPDX-License-Identifier: MIT
// Running specs again after a save: folders are watched by a descriptor that a poll waits for, and each run
// is a process of its own, so that nothing is left over from the one before.
#include "harness/harness.h"
#include <errno.h>
#include <poll.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/folders.h"
#include "script/class.h"
#include "script/raise.h"

static const char WATCH[] = "spate.harness.watch";

enum { ARGUMENTS_MAX = 1000 };

struct save_watch {
  int fd;
};

// harness.watch(): a watch without directories; user value 1: their names by descriptor.
static int watch_new(lua_State *L) {
  struct save_watch *w = lua_newuserdatauv(L, sizeof *w, 1);
  w->fd = -1;
  luaL_setmetatable(L, WATCH);
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  w->fd = folders_open();
  if (w->fd < 0) return luaL_error(L, "inotify: %s", strerror(errno));
  return 1;
}

static int watch_collect(lua_State *L) {
  struct save_watch *w = luaL_checkudata(L, 1, WATCH);
  if (w->fd >= 0) close(w->fd);
  w->fd = -1;
  return 0;
}

// watch:add(directory): true, or nil and why not.
static int watch_add(lua_State *L) {
  struct save_watch *w = luaL_checkudata(L, 1, WATCH);
  int descriptor = folders_add(w->fd, luaL_checkstring(L, 2));
  if (descriptor < 0) return push_failure(L, strerror(errno));
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, descriptor);
  lua_pushboolean(L, 1);
  return 1;
}

// Adds "directory/name" = true to the table at index 3; directories are at index 4.
static void note(void *state, int folder, const char *name) {
  lua_State *L = state;
  if (lua_rawgeti(L, 4, folder) == LUA_TSTRING) {
    lua_pushfstring(L, "%s/%s", lua_tostring(L, -1), name);
    lua_pushboolean(L, 1);
    lua_rawset(L, 3);
  }
  lua_settop(L, 4);
}

// watch:wait(quiet): waits for a change, and then until there was none for `quiet` seconds: the set of paths.
static int watch_wait(lua_State *L) {
  struct save_watch *w = luaL_checkudata(L, 1, WATCH);
  int quiet = (int)(luaL_checknumber(L, 2) * 1000), timeout = -1;
  lua_settop(L, 2);
  lua_newtable(L);
  lua_getiuservalue(L, 1, 1);
  while (poll(&(struct pollfd){.fd = w->fd, .events = POLLIN}, 1, timeout) != 0)
    if (folders_read(w->fd, note, L)) timeout = quiet;
  lua_settop(L, 3);
  return 1;
}

// harness.execute{ program, argument... }: its exit code; nil and why it did not run or which signal ended
// it.
static int execute(lua_State *L) {
  char *arguments[ARGUMENTS_MAX + 1];
  luaL_checktype(L, 1, LUA_TTABLE);
  size_t n = lua_rawlen(L, 1);
  luaL_argcheck(L, n > 0 && n <= ARGUMENTS_MAX, 1, "1 to 1000 arguments");
  luaL_checkstack(L, (int)n, NULL);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, 1, (lua_Integer)i + 1);
    arguments[i] = (char *)(uintptr_t)luaL_checkstring(L, -1);
  }
  arguments[n] = NULL;
  pid_t pid;
  int status, error = posix_spawn(&pid, arguments[0], NULL, NULL, arguments, environ);
  while (!error && waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) error = errno;
  if (!error && WIFEXITED(status)) return lua_pushinteger(L, WEXITSTATUS(status)), 1;
  lua_pushnil(L);
  if (error) lua_pushstring(L, strerror(error));
  else lua_pushfstring(L, "ended by signal %d", WTERMSIG(status));
  return 2;
}

// harness.program(): the path of the program that runs; nil where the system does not say.
static int program(lua_State *L) {
  char path[4096];
  ssize_t len = readlink("/proc/self/exe", path, sizeof path);
  if (len > 0) lua_pushlstring(L, path, (size_t)len);
  else lua_pushnil(L);
  return 1;
}

void rerun_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"add", watch_add}, {"wait", watch_wait}, {NULL, NULL}};
  class_new(L, WATCH, methods, watch_collect);
  lua_pushcfunction(L, watch_new);
  lua_setfield(L, -2, "watch");
  lua_pushcfunction(L, program);
  lua_setfield(L, -2, "program");
  lua_pushcfunction(L, execute);
  lua_setfield(L, -2, "execute");
}
