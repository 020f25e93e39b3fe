// SPDX-License-Identifier: MIT
// A state's way: it is made with the library in it, loads an application, starts it, is served, is replaced,
// and winds up. What it runs by itself ends at the latest shutdown.grace after the last request; what it has
// made beside Lua is let go of before the state is freed.
#include "script/app.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"
#include "client/fetch.h"
#include "client/process.h"
#include "client/redis_link.h"
#include "script/exchange.h"
#include "script/handler.h"
#include "script/held.h"
#include "script/lua_core.h"
#include "script/lua_report.h"
#include "script/lua_require.h"
#include "script/source.h"
#include "script/task.h"
#include "script/vm.h"
#include "script/watchdog.h"
#include "serve/feed.h"

static bool on_turn(struct loop_hook *h) {
  struct vm *vm = container_of(h, struct vm, hook);
  exchange_start_closers(vm);
  bool more = task_run_queue(vm);
  vm_watch_garbage(vm);
  return more;
}

// What tasks have ended, or later hooks woken, by making room in a queue or by handing up a request.
static bool has_ready_tasks(struct loop_hook *h) {
  const struct vm *vm = container_of(h, struct vm, hook);
  return !list_empty(&vm->run_queue) || !list_empty(&vm->closing);
}

// True where nobody waits any more for what a state still does.
static bool is_left(const struct vm *vm) { return vm_has_no_requests(vm) && !vm->holding_count; }

// No stop of old code lasts longer than one of the server.
static void on_stop_timer(struct timer *t) {
  struct vm *vm = container_of(t, struct vm, stop_timer);
  if (vm->listed_running) {
    log_message(LOG_WARN, "on_stop functions of generation %u do not end: ending them", vm->generation);
    task_cancel_stoppers(vm);
  } else if (is_left(vm)) {
    log_message(LOG_WARN, "tasks or on_close functions of generation %u do not end: ending them",
                vm->generation);
    vm->is_closing = true; // or what ends could start others, and they as well
    task_cancel_each(vm);
  }
}

static void arm_stop_timer(struct vm *vm) {
  loop_arm(vm->loop, &vm->stop_timer, vm->loop->now + vm->settings->shutdown.grace);
}

void app_wind_up(struct vm *vm) {
  if (is_left(vm) && vm->gauges.tasks && !timer_is_armed(&vm->stop_timer)) arm_stop_timer(vm);
}

static int open_libraries(lua_State *L) {
  core_open(L, lua_touserdata(L, 1));
  return 0;
}

struct vm *app_new(const struct vm_config *config, char **error) {
  struct vm *vm = vm_new(config, error);
  if (!vm) return NULL;
  vm->stop_timer = (struct timer){.on_fire = on_stop_timer};
  vm->hook.run = on_turn, vm->hook.is_ready = has_ready_tasks;
  vm->open = open_libraries, vm->answer = handler_answer;
  lua_pushcfunction(vm->L, open_libraries);
  lua_pushlightuserdata(vm->L, vm);
  if (vm_pcall(vm, 1, 0) == LUA_OK) return vm;
  *error = vm_take_message(vm->L);
  app_free(vm);
  return NULL;
}

void app_attach(struct vm *vm) {
  struct service *service = vm->service;
  vm->loop = service->loop, vm->is_attached = true;
  // Before the hooks that act on what tasks have asked for, and before that which flushes: it all happens in
  // one turn.
  loop_hook_remove(vm->loop, &service->fetcher->hook);
  loop_hook_remove(vm->loop, &service->flush_hook);
  if (service->redis_home) loop_hook_remove(vm->loop, &service->redis_home->hook);
  loop_hook_add(vm->loop, &vm->hook);
  loop_hook_add(vm->loop, &service->fetcher->hook);
  if (service->redis_home) loop_hook_add(vm->loop, &service->redis_home->hook);
  loop_hook_add(vm->loop, &service->flush_hook);
}

void app_detach(struct vm *vm, struct loop *loop) {
  task_cancel_all(vm);
  exchange_forget_closers(vm);
  held_leave_loop(vm);
  list_each (node, &vm->feeds) feed_stop(container_of(node, struct feed, held));
  if (vm->service->processes) processes_end_of(vm->service->processes, vm);
  loop_hook_remove(vm->loop, &vm->hook);
  loop_disarm(vm->loop, &vm->gc_timer);
  loop_disarm(vm->loop, &vm->stop_timer);
  watchdog_forget(vm);
  vm->loop = loop, vm->is_attached = false;
}

void app_free(struct vm *vm) {
  task_cancel_all(vm);
  vm_free(vm);
}

static int load_stand_in(lua_State *L) {
  const char *report = lua_touserdata(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "spate.dev");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "stand_in");
  lua_pushstring(L, report);
  lua_call(L, 1, 0);
  return 0;
}

static int show_failure(lua_State *L) {
  const char *report = lua_touserdata(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "spate.live") != LUA_TTABLE) return 0; // no pages that could show it
  lua_getfield(L, -1, "failed");
  lua_pushstring(L, report);
  lua_call(L, 1, 0);
  return 0;
}

// core.folder: where the application's file lies; what it names by a relative path lies there as well.
static void set_folder(lua_State *L, const char *path) {
  const char *slash = strrchr(path, '/');
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "spate.core");
  lua_pushlstring(L, slash ? path : "./", slash ? (size_t)(slash - path) + 1 : 2);
  lua_setfield(L, -2, "folder");
  lua_pop(L, 2);
}

static int load(lua_State *L) {
  const char *path = lua_touserdata(L, 1);
  lua_pushstring(L, path);
  lua_replace(L, 1);
  require_from_folder_of(L, path);
  set_folder(L, path);
  if (source_load(L, path) != LUA_OK) return lua_error(L);
  lua_call(L, 0, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "spate.app");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "install");
  lua_pushvalue(L, -3);
  lua_pushvalue(L, 1);
  lua_call(L, 2, 0);
  return 0;
}

// The message on top of the stack as the text that a person reads; pops it.
static char *take_report(struct vm *vm, const char *path) {
  char *message = vm_take_message(vm->L);
  lua_pushcfunction(vm->L, report_loading);
  lua_pushlightuserdata(vm->L, message);
  lua_pushlightuserdata(vm->L, (void *)path);
  if (vm_pcall(vm, 2, 1) != LUA_OK) { // no memory left to make one in
    lua_pop(vm->L, 1);
    return message;
  }
  free(message);
  return vm_take_message(vm->L);
}

int app_load(struct vm *vm, const char *path, char **error) {
  vm->app = xstrdup(path);
  lua_pushcfunction(vm->L, load);
  lua_pushlightuserdata(vm->L, (void *)path);
  if (vm_pcall(vm, 1, 0) == LUA_OK) return 0;
  *error = take_report(vm, path);
  return -1;
}

static int load_own(lua_State *L) {
  const char *module = lua_touserdata(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "spate.app");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "install");
  lua_getglobal(L, "require");
  lua_pushstring(L, module);
  lua_call(L, 1, 1);
  lua_pushstring(L, module);
  lua_call(L, 2, 0);
  return 0;
}

int app_load_own(struct vm *vm, const char *module, char **error) {
  lua_pushcfunction(vm->L, load_own);
  lua_pushlightuserdata(vm->L, (void *)(uintptr_t)module);
  if (vm_pcall(vm, 1, 0) == LUA_OK) return 0;
  *error = vm_take_message(vm->L);
  return -1;
}

int app_load_stand_in(struct vm *vm, const char *report) {
  lua_pushcfunction(vm->L, load_stand_in);
  lua_pushlightuserdata(vm->L, (void *)report);
  if (vm_pcall(vm, 1, 0) == LUA_OK) return 0;
  lua_pop(vm->L, 1);
  return -1;
}

static void on_starter_end(struct task *t, int status) {
  struct vm *vm = t->vm;
  vm->starters_running--;
  if (status != LUA_OK && vm->is_starting)
    vm_fail_start(vm, xstrdup("an on_start function has failed, and its error cannot be shown"));
}

static void on_stopper_end(struct task *t, int status) {
  (void)status;
  if (!--t->vm->listed_running) loop_disarm(t->vm->loop, &t->vm->stop_timer);
}

static const struct task_ops starter_ops = {.on_end = on_starter_end},
                             stopper_ops = {.on_end = on_stopper_end};

static int spawn_tasks(lua_State *L) {
  struct vm *vm = vm_of(L);
  bool starts = lua_tointeger(L, 1) == vm->starters_ref, ends = lua_tointeger(L, 1) == vm->stoppers_ref;
  lua_rawgeti(L, LUA_REGISTRYINDEX, (int)lua_tointeger(L, 1));
  lua_Integer n = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : 0;
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, 2, i);
    struct task *t = ends ? task_follow(L, 0, &stopper_ops) : task_spawn(L, 0, starts ? &starter_ops : NULL);
    t->is_bound = !ends, t->is_starter = starts, t->is_stopper = ends;
    vm->listed_running += ends, vm->starters_running += starts;
  }
  return 0;
}

static void log_error(char *message) {
  if (message) log_message(LOG_ERROR, "%s", message);
  free(message);
}

// NULL, or why not all of these functions have become tasks (the caller frees it).
static char *spawn_listed(struct vm *vm, int ref) {
  lua_pushcfunction(vm->L, spawn_tasks);
  lua_pushinteger(vm->L, ref);
  return vm_pcall(vm, 1, 0) == LUA_OK ? NULL : vm_take_message(vm->L);
}

void app_start(struct vm *vm) {
  vm->is_starting = true;
  vm_fail_start(vm, spawn_listed(vm, vm->starters_ref));
}

void app_begin(struct vm *vm) {
  vm->is_starting = false;
  log_error(spawn_listed(vm, vm->beginnings_ref));
}

void app_show_failure(struct vm *vm, const char *report) {
  lua_pushcfunction(vm->L, show_failure);
  lua_pushlightuserdata(vm->L, (void *)(uintptr_t)report);
  if (vm_pcall(vm, 1, 0) != LUA_OK) log_error(vm_take_message(vm->L));
}

void app_stop(struct vm *vm) { log_error(spawn_listed(vm, vm->stoppers_ref)); }

// What fails for lack of memory leaves what nothing would end.
static void on_retirement_end(struct task *t, int status) {
  if (status != LUA_OK) task_cancel_holding(t->vm);
}

static const struct task_ops retirement_ops = {.on_end = on_retirement_end};

// What the library has to do for those who still read what it made.
static int spawn_retirement(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, vm_of(L)->retire_ref);
  struct task *t = task_follow(L, 0, &retirement_ops);
  task_hold_state(t);
  t->of_app = true;
  return 0;
}

void app_retire(struct vm *vm) {
  task_cancel_bound(vm);
  app_stop(vm);
  vm->is_retired = true;
  if (vm->listed_running) arm_stop_timer(vm);
  lua_pushcfunction(vm->L, spawn_retirement);
  if (vm_pcall(vm, 0, 0) == LUA_OK) return;
  log_error(vm_take_message(vm->L));
  task_cancel_holding(vm); // which nothing would end
}
