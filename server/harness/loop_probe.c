// SPDX-License-Identifier: MIT
// One loop of libev's with a clock that stands until it is moved, and one watch over the near end of a pair
// of sockets. A turn polls without sleeping and says what the watch was told. A descriptor that is closed
// behind the loop's back stands for one that the kernel refuses to watch.
#include "harness/loop_probe.h"
#include <lauxlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "loop/watch.h"
#include "script/class.h"

static const char LOOP[] = "spate.harness.loop";

struct loop_probe {
  struct manual_clock clock;
  struct loop loop;
  struct loop_hook hook;
  struct watch watch;
  int near_fd, far_fd;
  bool polled, stops, is_open;
  unsigned told;
  int times; // that it was
};

static struct loop_probe *check(lua_State *L) { return luaL_checkudata(L, 1, LOOP); }

static void on_ready(struct watch *w, unsigned events) {
  struct loop_probe *p = container_of(w, struct loop_probe, watch);
  p->told |= events, p->times++;
  if (p->stops) watch_stop(w);
}

// The first run is before the poll, the second after it.
static bool end_turn(struct loop_hook *h) {
  struct loop_probe *p = container_of(h, struct loop_probe, hook);
  if (p->polled) loop_stop(&p->loop);
  p->polled = true;
  return true;
}

static unsigned check_events(lua_State *L, int index) {
  const char *text = luaL_checkstring(L, index);
  return (strchr(text, 'r') ? WATCH_READ : 0u) | (strchr(text, 'w') ? WATCH_WRITE : 0u);
}

// loop:start(events): "r", "w", "rw" or "".
static int probe_start(lua_State *L) {
  struct loop_probe *p = check(L);
  watch_start(&p->watch, &p->loop, p->near_fd, check_events(L, 2));
  return 0;
}

static int probe_set(lua_State *L) {
  watch_set(&check(L)->watch, check_events(L, 2));
  return 0;
}

// loop:stop(): at once; loop:stop(true): when it is told the next time.
static int probe_stop(lua_State *L) {
  struct loop_probe *p = check(L);
  if (lua_toboolean(L, 2)) p->stops = true;
  else watch_stop(&p->watch);
  return 0;
}

// loop:turn([seconds later]): what the watch was told, and how often.
static int probe_turn(lua_State *L) {
  struct loop_probe *p = check(L);
  p->clock.now += luaL_optnumber(L, 2, 0);
  p->polled = false, p->told = 0, p->times = 0;
  loop_run(&p->loop);
  lua_pushfstring(L, "%s%s", p->told & WATCH_READ ? "r" : "", p->told & WATCH_WRITE ? "w" : "");
  lua_pushinteger(L, p->times);
  return 2;
}

// loop:write(): a byte from the far end.
static int probe_write(lua_State *L) {
  ssize_t n = send(check(L)->far_fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
  lua_pushboolean(L, n == 1);
  return 1;
}

// loop:fill(): until the near end takes no more.
static int probe_fill(lua_State *L) {
  static const char bytes[4096];
  while (send(check(L)->near_fd, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) continue;
  return 0;
}

static int probe_close(lua_State *L) {
  struct loop_probe *p = check(L);
  if (!p->is_open) return 0;
  p->is_open = false;
  watch_stop(&p->watch);
  loop_hook_remove(&p->loop, &p->hook);
  loop_deinit(&p->loop);
  close(p->near_fd), close(p->far_fd);
  return 0;
}

static int probe_new(lua_State *L) {
  struct loop_probe *p = lua_newuserdatauv(L, sizeof *p, 0);
  int pair[2];
  *p = (struct loop_probe){.hook = {.run = end_turn}, .watch = {.on_ready = on_ready}};
  luaL_setmetatable(L, LOOP);
  manual_clock_init(&p->clock, 0);
  if (loop_init(&p->loop, &p->clock.clock, true) < 0) return luaL_error(L, "no event loop");
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
    return loop_deinit(&p->loop), luaL_error(L, "no sockets");
  p->near_fd = pair[0], p->far_fd = pair[1], p->is_open = true;
  list_init(&p->hook.link);
  loop_hook_add(&p->loop, &p->hook);
  return 1;
}

void loop_probe_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"start", probe_start}, {"set", probe_set},   {"stop", probe_stop},   {"turn", probe_turn},
      {"write", probe_write}, {"fill", probe_fill}, {"close", probe_close}, {NULL, NULL}};
  class_new(L, LOOP, methods, probe_close);
  lua_pushcfunction(L, probe_new);
  lua_setfield(L, -2, "loop");
}
