// SPDX-License-Identifier: MIT
// Many descriptors that are ready at once and stay so, in a loop that polls.
#include <lauxlib.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/mem.h"
#include "harness/harness.h"
#include "loop/watch.h"
#include "script/class.h"

enum { MOST = 5000 };

static const char CROWD[] = "spate.harness.crowd";

struct member {
  struct watch watch;
  struct crowd *crowd;
  int times; // that it was told
};

struct crowd {
  struct loop loop;
  struct member *members;
  int count, told; // in this turn
};

static void on_ready(struct watch *w, unsigned events) {
  struct member *m = container_of(w, struct member, watch);
  (void)events;
  m->times++, m->crowd->told++;
}

// crowd:turn(): how many are told in it, and how often each has been told at least and at most.
static int crowd_turn(lua_State *L) {
  struct crowd *c = luaL_checkudata(L, 1, CROWD);
  int least = c->members[0].times, most = least;
  c->told = 0;
  loop_poll(&c->loop, 1);
  for (int i = 0; i < c->count; i++)
    least = MIN(least, c->members[i].times), most = MAX(most, c->members[i].times);
  lua_pushinteger(L, c->told);
  lua_pushinteger(L, least);
  lua_pushinteger(L, most);
  return 3;
}

// crowd:few(whether): somebody has something more urgent.
static int crowd_few(lua_State *L) {
  struct crowd *c = luaL_checkudata(L, 1, CROWD);
  c->loop.told_max = lua_toboolean(L, 2) ? LOOP_TOLD_FEW : LOOP_TOLD_MAX;
  return 0;
}

static int crowd_close(lua_State *L) {
  struct crowd *c = luaL_checkudata(L, 1, CROWD);
  if (!c->members) return 0;
  for (int i = 0; i < c->count; i++) {
    int fd = watch_fd(&c->members[i].watch);
    watch_stop(&c->members[i].watch);
    close(fd);
  }
  free(c->members);
  c->members = NULL;
  loop_deinit(&c->loop);
  return 0;
}

// harness.crowd(count)
static int crowd_new(lua_State *L) {
  lua_Integer count = luaL_checkinteger(L, 1);
  luaL_argcheck(L, count > 0 && count <= MOST, 1, "too many");
  struct crowd *c = lua_newuserdatauv(L, sizeof *c, 0);
  *c = (struct crowd){0};
  luaL_setmetatable(L, CROWD);
  if (loop_init(&c->loop, clock_system(), true) < 0) return luaL_error(L, "no event loop");
  c->members = xcalloc((size_t)count, sizeof *c->members);
  for (; c->count < count; c->count++) {
    int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) return luaL_error(L, "no descriptor");
    struct member *m = &c->members[c->count];
    m->crowd = c, m->watch.on_ready = on_ready;
    watch_start(&m->watch, &c->loop, fd, WATCH_READ);
  }
  return 1;
}

void crowd_probe_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"turn", crowd_turn}, {"few", crowd_few}, {"close", crowd_close}, {NULL, NULL}};
  class_new(L, CROWD, methods, crowd_close);
  lua_pushcfunction(L, crowd_new);
  lua_setfield(L, -2, "crowd");
}
