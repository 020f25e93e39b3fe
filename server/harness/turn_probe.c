// SPDX-License-Identifier: MIT
// One loop without descriptors, under a clock that stands until it is moved, with hooks and timers that say
// that they have run, and do to one another what they are told.
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "harness/harness.h"
#include "loop/loop.h"
#include "script/class.h"

enum { HOOKS_MAX = 10, TIMERS_MAX = 1000 };

static const char TURNS[] = "spate.harness.turns";

struct turn_probe;

struct probe_hook {
  struct loop_hook hook;
  struct turn_probe *probe;
  int number, other;
  char what; // "a"dds the other, "r"emoves it, has "m"ore, "s"low by so many seconds
  bool is_ready;
};

struct probe_timer {
  struct timer timer;
  struct turn_probe *probe;
  double again; // armed for then as it fires; 0: not
};

struct turn_probe {
  struct manual_clock clock;
  struct loop loop;
  struct turn_limit limit;
  struct probe_hook hooks[HOOKS_MAX];
  struct probe_timer timers[TIMERS_MAX];
  bool is_open;
  struct buf log;
};

static struct turn_probe *check(lua_State *L) { return luaL_checkudata(L, 1, TURNS); }

static struct probe_hook *check_hook(lua_State *L, int index) {
  lua_Integer n = luaL_checkinteger(L, index);
  luaL_argcheck(L, n >= 0 && n < HOOKS_MAX, index, "no such hook");
  return &check(L)->hooks[n];
}

static struct probe_timer *check_timer(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 0 && n < TIMERS_MAX, 2, "no such timer");
  return &check(L)->timers[n];
}

static bool run_hook(struct loop_hook *hook) {
  struct probe_hook *h = container_of(hook, struct probe_hook, hook);
  struct turn_probe *p = h->probe;
  buf_printf(&p->log, "%d ", h->number);
  if (h->what == 'a') loop_hook_add(&p->loop, &p->hooks[h->other].hook);
  if (h->what == 'r') loop_hook_remove(&p->loop, &p->hooks[h->other].hook);
  if (h->what == 's') p->clock.now += h->other;
  return h->what == 'm';
}

static bool hook_is_ready(struct loop_hook *hook) {
  return container_of(hook, struct probe_hook, hook)->is_ready;
}

// turns:hook(number [, what [, other]]): "add", "remove", "more", "slow" or "ready".
static int probe_hook(lua_State *L) {
  struct turn_probe *p = check(L);
  struct probe_hook *h = check_hook(L, 2);
  const char *what = luaL_optstring(L, 3, "");
  h->what = *what, h->is_ready = !strcmp(what, "ready");
  h->hook.is_ready = h->is_ready ? hook_is_ready : NULL;
  h->other = (int)luaL_optinteger(L, 4, 0);
  if (list_empty(&h->hook.link)) loop_hook_add(&p->loop, &h->hook);
  return 0;
}

static int probe_unhook(lua_State *L) {
  loop_hook_remove(&check(L)->loop, &check_hook(L, 2)->hook);
  return 0;
}

static void on_fire(struct timer *t) {
  struct probe_timer *p = container_of(t, struct probe_timer, timer);
  buf_printf(&p->probe->log, "t%d ", (int)(p - p->probe->timers));
  if (p->again > 0) loop_arm(&p->probe->loop, t, p->again);
}

// turns:arm(number, deadline [, again]): a timer, which as it fires is armed for `again`.
static int probe_arm(lua_State *L) {
  struct turn_probe *p = check(L);
  struct probe_timer *t = check_timer(L);
  t->again = luaL_optnumber(L, 4, 0);
  loop_arm(&p->loop, &t->timer, luaL_checknumber(L, 3));
  return 0;
}

static int probe_disarm(lua_State *L) {
  loop_disarm(&check(L)->loop, &check_timer(L)->timer);
  return 0;
}

// turns:next(): the earliest deadline, and the number of the timer that has it.
static int probe_next(lua_State *L) {
  struct turn_probe *p = check(L);
  struct timer *first = timer_first(&p->loop.timers);
  lua_pushnumber(L, timer_next(&p->loop.timers));
  if (!first) return 1;
  lua_pushinteger(L, container_of(first, struct probe_timer, timer) - p->timers);
  return 2;
}

// turns:slots(): how many timers stand in the heap, and not in a row behind one that does.
static int probe_slots(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check(L)->loop.timers.slot_count);
  return 1;
}

static void on_exceeded(struct turn_limit *limit, double took) {
  buf_printf(&container_of(limit, struct turn_probe, limit)->log, "took:%g ", took);
}

static int probe_limit(lua_State *L) {
  struct turn_probe *p = check(L);
  p->limit = (struct turn_limit){luaL_checknumber(L, 2), on_exceeded};
  p->loop.turn_limit = &p->limit;
  return 0;
}

// turns:turn([seconds later]): what has run; whether there is more; the loop's time then; how many fired of
// all timers ever.
static int probe_turn(lua_State *L) {
  struct turn_probe *p = check(L);
  p->clock.now += luaL_optnumber(L, 2, 0);
  bool more = loop_turn(&p->loop);
  lua_pushlstring(L, p->log.bytes ? p->log.bytes : "", p->log.len);
  buf_deinit(&p->log);
  lua_pushboolean(L, more);
  lua_pushnumber(L, p->loop.now);
  return 3;
}

// turns:fire(now): how many timers did, without a turn.
static int probe_fire(lua_State *L) {
  struct turn_probe *p = check(L);
  lua_pushinteger(L, (lua_Integer)timer_run(&p->loop.timers, luaL_checknumber(L, 2)));
  lua_pushlstring(L, p->log.bytes ? p->log.bytes : "", p->log.len);
  buf_deinit(&p->log);
  return 2;
}

// turns:close(): how many timers still say that they are armed, which is none.
static int probe_close(lua_State *L) {
  struct turn_probe *p = check(L);
  if (!p->is_open) return 0;
  p->is_open = false;
  loop_deinit(&p->loop);
  buf_deinit(&p->log);
  int armed = 0;
  for (int i = 0; i < TIMERS_MAX; i++) armed += timer_is_armed(&p->timers[i].timer);
  lua_pushinteger(L, armed);
  return 1;
}

static int probe_new(lua_State *L) {
  struct turn_probe *p = lua_newuserdatauv(L, sizeof *p, 0);
  memset(p, 0, sizeof *p);
  luaL_setmetatable(L, TURNS);
  manual_clock_init(&p->clock, 0);
  loop_init(&p->loop, &p->clock.clock, false);
  for (int i = 0; i < HOOKS_MAX; i++) {
    p->hooks[i].hook.run = run_hook, p->hooks[i].probe = p, p->hooks[i].number = i;
    list_init(&p->hooks[i].hook.link);
  }
  for (int i = 0; i < TIMERS_MAX; i++) p->timers[i].timer.on_fire = on_fire, p->timers[i].probe = p;
  p->is_open = true;
  return 1;
}

void turn_probe_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"hook", probe_hook},
                                     {"unhook", probe_unhook},
                                     {"arm", probe_arm},
                                     {"disarm", probe_disarm},
                                     {"next", probe_next},
                                     {"limit", probe_limit},
                                     {"slots", probe_slots},
                                     {"turn", probe_turn},
                                     {"fire", probe_fire},
                                     {"close", probe_close},
                                     {NULL, NULL}};
  class_new(L, TURNS, methods, probe_close);
  lua_pushcfunction(L, probe_new);
  lua_setfield(L, -2, "turns");
}
