// SPDX-License-Identifier: MIT
// Time, tasks and signals for scripts. A signal is what everything else that waits is made of: tasks wait in
// it, whoever has news wakes them, and they look for themselves.
#include "script/bindings.h"
#include <lauxlib.h>
#include <math.h>
#include "script/channel_handle.h"
#include "script/lua_coroutine.h"
#include "script/lua_report.h"
#include "script/raise.h"
#include "script/task.h"
#include "script/ticker.h"
#include "script/vm.h"

static const char HANDLE[] = "spate.task", SIGNAL[] = "spate.signal";

static double check_seconds(lua_State *L, int index, const char *what) {
  int is_number;
  lua_Number seconds = lua_tonumberx(L, index, &is_number);
  if (!is_number || lua_type(L, index) != LUA_TNUMBER) raise_type(L, index, what, "seconds");
  if (!(seconds >= 0) || seconds > 1e9)
    raise_error(L, "%s: expected 0 or more seconds, got %g", what, seconds);
  return seconds;
}

static int slept(lua_State *L, int status, lua_KContext context) {
  (void)L, (void)status, (void)context;
  return 0;
}

static int lua_sleep(lua_State *L) {
  double seconds = check_seconds(L, 1, "sse.sleep");
  advise_seconds(L, "sse.sleep", seconds);
  struct task *t = task_check(L, "sse.sleep");
  return task_wait(L, t, task_time(t, seconds) + seconds, 0, slept);
}

static int lua_now(lua_State *L) {
  lua_pushnumber(L, loop_time(vm_of(L)->loop));
  return 1;
}

static int lua_wall(lua_State *L) {
  lua_pushnumber(L, clock_wall(vm_of(L)->loop->clock));
  return 1;
}

enum life { LIFE_OF_READER, LIFE_OF_GENERATION, LIFE_OF_ITS_OWN };

static int spawn(lua_State *L, enum life life) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  if (lua_gettop(L) > 200) return raise_error(L, "sse.spawn: more than 199 arguments");
  struct task_handle *handle = lua_newuserdatauv(L, sizeof *handle, 1);
  *handle = (struct task_handle){0};
  luaL_setmetatable(L, HANDLE);
  lua_insert(L, 1);
  struct task *t = task_spawn(L, lua_gettop(L) - 2, NULL);
  handle->task = t;
  task_hold(t, L, 1);
  t->is_bound = life == LIFE_OF_GENERATION, t->of_app |= !t->is_bound;
  if (life == LIFE_OF_ITS_OWN) task_hold_state(t);
  return 1;
}

// core.spawn(fn, ...): a task that starts with the next turn; its handle. core.spawn_bound: one that a reload
// ends; core.spawn_lasting: one that its state is kept for.
static int lua_spawn(lua_State *L) { return spawn(L, LIFE_OF_READER); }

static int lua_spawn_bound(lua_State *L) { return spawn(L, LIFE_OF_GENERATION); }

static int lua_spawn_lasting(lua_State *L) { return spawn(L, LIFE_OF_ITS_OWN); }

static struct task_handle *check_handle(lua_State *L) { return luaL_checkudata(L, 1, HANDLE); }

// core.cancel(handle): true where the task had not ended yet.
static int lua_cancel(lua_State *L) {
  struct task *t = check_handle(L)->task;
  if (t) task_cancel(t);
  lua_pushboolean(L, t != NULL);
  return 1;
}

// core.notify(handle, signal): the signal is woken at the task's end, however that comes about.
static int lua_notify(lua_State *L) {
  struct task_handle *h = check_handle(L);
  struct waitlist *signal = luaL_checkudata(L, 2, SIGNAL);
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, 1);
  h->ended = signal;
  return 0;
}

// core.has_ended(handle)
static int lua_has_ended(lua_State *L) {
  lua_pushboolean(L, !check_handle(L)->task);
  return 1;
}

// core.tie_channel(channel [, handle]): the channel ends, and is removed, where the task, or else the running
// one, fails or is cancelled. It is tied to one at a time.
static int lua_tie_channel(lua_State *L) {
  struct tie *tie = channel_tie(L, 1);
  struct task *t = vm_of(L)->current;
  if (!lua_isnoneornil(L, 2)) t = ((struct task_handle *)luaL_checkudata(L, 2, HANDLE))->task;
  list_remove(&tie->link);
  if (t) task_tie(t, tie);
  return 0;
}

// core.cut_ties(): of the running task, which goes on behind an error that it has caught.
static int lua_cut_ties(lua_State *L) {
  struct task *t = vm_of(L)->current;
  if (t) task_cut_ties(t);
  return 0;
}

// core.is_retired(): whether requests no longer go to this state.
static int lua_is_retired(lua_State *L) {
  lua_pushboolean(L, vm_of(L)->is_retired);
  return 1;
}

// core.was_stopped(): in a __close, whether it runs as the task's time was up (limits.burst).
static int lua_was_stopped(lua_State *L) {
  const struct task *t = vm_of(L)->current;
  lua_pushboolean(L, t && t->stopped);
  return 1;
}

static int lua_signal(lua_State *L) {
  struct waitlist *signal = lua_newuserdatauv(L, sizeof *signal, 0);
  waitlist_init(signal);
  luaL_setmetatable(L, SIGNAL);
  return 1;
}

static int signalled(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  lua_pushboolean(L, !vm_of(L)->current->timed_out);
  return 1;
}

// signal:wait([seconds [, what]]): true once it is woken, false where the time is up first.
static int signal_wait(lua_State *L) {
  struct waitlist *signal = luaL_checkudata(L, 1, SIGNAL);
  double seconds = lua_isnoneornil(L, 2) ? INFINITY : check_seconds(L, 2, "wait");
  struct task *t = task_check(L, luaL_optstring(L, 3, "wait"));
  lua_settop(L, 1); // keeps the signal alive while tasks are linked in it
  double deadline = seconds < INFINITY ? loop_time(t->vm->loop) + seconds : INFINITY;
  return task_wait_in(L, t, signal, deadline, 0, signalled);
}

// signal:wake(): wakes all that wait now.
static int signal_wake(lua_State *L) {
  waitlist_wake_all(luaL_checkudata(L, 1, SIGNAL));
  return 0;
}

// core.task_id(): what tells the running task from others while it runs; nil outside of one.
static int lua_task_id(lua_State *L) {
  struct task *t = vm_of(L)->current;
  if (t) lua_pushlightuserdata(L, t);
  else lua_pushnil(L);
  return 1;
}

void task_open(lua_State *L) {
  static const luaL_Reg signal_methods[] = {{"wait", signal_wait}, {"wake", signal_wake}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"sleep", lua_sleep},
                                       {"ticker", lua_ticker},
                                       {"now", lua_now},
                                       {"wall", lua_wall},
                                       {"spawn", lua_spawn},
                                       {"cancel", lua_cancel},
                                       {"wrap", lua_wrap},
                                       {"spawn_bound", lua_spawn_bound},
                                       {"spawn_lasting", lua_spawn_lasting},
                                       {"signal", lua_signal},
                                       {"notify", lua_notify},
                                       {"has_ended", lua_has_ended},
                                       {"was_stopped", lua_was_stopped},
                                       {"is_retired", lua_is_retired},
                                       {"cut_ties", lua_cut_ties},
                                       {"task_id", lua_task_id},
                                       {"tie_channel", lua_tie_channel},
                                       {NULL, NULL}};
  luaL_newmetatable(L, HANDLE);
  luaL_newmetatable(L, SIGNAL);
  luaL_newlib(L, signal_methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 2);
  luaL_setfuncs(L, functions, 0);
}
