// SPDX-License-Identifier: MIT
// A task that waits for a descriptor of somebody else's: of LuaSocket, of a driver. Each wait has a watch of
// its own, several may be on one descriptor. One that is closed meanwhile is never ready, and its number may
// be another file's soon: so it is looked at now and then.
#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "loop/watch.h"
#include "script/bindings.h"
#include "script/held.h"
#include "script/raise.h"
#include "script/task.h"
#include "script/vm.h"

static const double LOOK_SECONDS = 5;

struct fd_wait {
  struct held held; // by the task's stack
  struct watch watch;
  struct waitlist waiter;
  unsigned ready; // what of it
  int fd;
  dev_t device; // of the file that it is
  ino_t inode;
  double deadline;
};

static void on_ready(struct watch *w, unsigned events) {
  struct fd_wait *f = container_of(w, struct fd_wait, watch);
  f->ready = events;
  watch_stop(w);
  waitlist_wake_all(&f->waiter);
}

static void leave(struct held *h) { watch_stop(&container_of(h, struct fd_wait, held)->watch); }

static void drop(struct vm *vm, struct held *h) {
  struct fd_wait *f = container_of(h, struct fd_wait, held);
  (void)vm;
  watch_stop(&f->watch);
  free(f);
}

// Whether the descriptor is open still, and the same file.
static bool is_same(const struct fd_wait *f) {
  struct stat st;
  return fstat(f->fd, &st) == 0 && st.st_dev == f->device && st.st_ino == f->inode;
}

static int waited(lua_State *L, int status, lua_KContext index);

static int wait_on(lua_State *L, struct fd_wait *f, lua_KContext index) {
  struct task *t = vm_of(L)->current;
  double look = t->vm->loop->now + LOOK_SECONDS;
  return task_wait_in(L, t, &f->waiter, MIN(f->deadline, look), index, waited);
}

static int waited(lua_State *L, int status, lua_KContext index) {
  (void)status;
  struct fd_wait *f = container_of(*(struct held **)lua_touserdata(L, (int)index), struct fd_wait, held);
  if (!f->ready && !is_same(f))
    return raise_error(L, "sse.wait_fd: descriptor %d was closed while a task waits for it", f->fd);
  if (!f->ready && vm_of(L)->loop->now >= f->deadline) return push_failure(L, "timeout");
  if (!f->ready) return wait_on(L, f, index);
  lua_pushfstring(L, "%s%s", f->ready & WATCH_READ ? "r" : "", f->ready & WATCH_WRITE ? "w" : "");
  return 1;
}

// The descriptor at index 1: a number, or that of a file of io's.
static int check_fd(lua_State *L) {
  const luaL_Stream *file = luaL_testudata(L, 1, LUA_FILEHANDLE);
  if (file) return file->closef ? fileno(file->f) : -1;
  lua_Integer fd = luaL_checkinteger(L, 1);
  return fd >= 0 && fd <= INT32_MAX ? (int)fd : -1;
}

// core.wait_fd(fd, events, seconds or nil, object): what it is ready for; nil, "timeout". What the library
// has checked. The object that the descriptor belongs to stays on the stack.
static int core_wait_fd(lua_State *L) {
  const char *events = luaL_checkstring(L, 2);
  double seconds = lua_isnoneornil(L, 3) ? INFINITY : lua_tonumber(L, 3);
  struct stat st;
  int fd = check_fd(L);
  struct task *t = task_check(L, "sse.wait_fd");
  if (fstat(fd, &st) < 0) return raise_error(L, "sse.wait_fd: descriptor %d is closed", fd);
  if (!loop_polls(t->vm->loop)) return raise_error(L, "sse.wait_fd: nothing can wait for descriptors here");
  lua_settop(L, 4);
  struct held **box = held_push_closed(L);
  struct fd_wait *f = xcalloc(1, sizeof *f);
  *f = (struct fd_wait){.watch = {.on_ready = on_ready}, .fd = fd, .device = st.st_dev, .inode = st.st_ino};
  f->deadline = t->vm->loop->now + seconds;
  waitlist_init(&f->waiter);
  held_put(L, box, &f->held, drop);
  f->held.leave = leave;
  watch_start(&f->watch, t->vm->loop, fd,
              (strchr(events, 'r') ? WATCH_READ : 0u) | (strchr(events, 'w') ? WATCH_WRITE : 0u));
  return wait_on(L, f, lua_gettop(L));
}

void wait_fd_open(lua_State *L) {
  lua_pushcfunction(L, core_wait_fd);
  lua_setfield(L, -2, "wait_fd");
}
