// SPDX-License-Identifier: MIT
// Directories are watched, not files: editors write a new file and rename it over the old one.
#include "harness/rerun.h"
#include <errno.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>
#include "script/class.h"

static const char WATCH[] = "spate.harness.watch";

enum { SAVES = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE, ARGUMENTS_MAX = 1000 };

struct watch {
  int fd;
};

// harness.watch(): a watch without directories; user value 1: their names by descriptor.
static int watch_new(lua_State *L) {
  struct watch *w = lua_newuserdatauv(L, sizeof *w, 1);
  w->fd = -1;
  luaL_setmetatable(L, WATCH);
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (w->fd < 0) return luaL_error(L, "inotify: %s", strerror(errno));
  return 1;
}

static int watch_collect(lua_State *L) {
  struct watch *w = luaL_checkudata(L, 1, WATCH);
  if (w->fd >= 0) close(w->fd);
  w->fd = -1;
  return 0;
}

// watch:add(directory): true, or nil and why not.
static int watch_add(lua_State *L) {
  struct watch *w = luaL_checkudata(L, 1, WATCH);
  int descriptor = inotify_add_watch(w->fd, luaL_checkstring(L, 2), SAVES | IN_ONLYDIR);
  if (descriptor < 0) return lua_pushnil(L), lua_pushstring(L, strerror(errno)), 2;
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, descriptor);
  lua_pushboolean(L, 1);
  return 1;
}

// Adds "directory/name" = true for each event in the buffer to the table at index 3; names are at index 4.
static void note(lua_State *L, const char *bytes, ssize_t len) {
  for (const char *at = bytes; at < bytes + len;) {
    const struct inotify_event *e = (const struct inotify_event *)(const void *)at;
    at += sizeof *e + e->len;
    if (!e->len || lua_rawgeti(L, 4, e->wd) != LUA_TSTRING) continue;
    lua_pushfstring(L, "%s/%s", lua_tostring(L, -1), e->name);
    lua_pushboolean(L, 1);
    lua_rawset(L, 3);
    lua_settop(L, 4);
  }
}

// watch:wait(quiet): waits for a change, and then until there was none for `quiet` seconds: the set of paths.
static int watch_wait(lua_State *L) {
  struct watch *w = luaL_checkudata(L, 1, WATCH);
  int quiet = (int)(luaL_checknumber(L, 2) * 1000), timeout = -1;
  char bytes[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
  lua_settop(L, 2);
  lua_newtable(L);
  lua_getiuservalue(L, 1, 1);
  while (poll(&(struct pollfd){.fd = w->fd, .events = POLLIN}, 1, timeout) != 0) {
    ssize_t len = read(w->fd, bytes, sizeof bytes);
    if (len > 0) note(L, bytes, len), timeout = quiet;
  }
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
