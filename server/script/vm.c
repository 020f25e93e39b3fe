// SPDX-License-Identifier: MIT
// The Lua state: its memory limit, its libraries, the protected call. An error outside protection would end
// the process, and so nearly everything that touches the state runs as a C function under vm_pcall or in a
// task.
#include "script/vm.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/escape.h"
#include "base/log.h"
#include "base/mem.h"
#include "script/held.h"
#include "script/exchange.h"
#include "script/lua_core.h"
#include "script/lua_report.h"
#include "script/task.h"
#include "script/watchdog.h"
#include "serve/feed.h"

// A small state may double before it is collected again; a large one, of thousands of streams, should not.
enum { GC_PAUSE_SMALL = 160, GC_PAUSE_LARGE = 130, GC_SMALL = 2 << 20, GC_STEP_KB = 64 };
static const double GC_IDLE_SECONDS = 0.5;

static void *allocate(void *owner, void *old, size_t old_size, size_t size) {
  struct vm *vm = owner;
  if (!old) old_size = 0; // it is a type tag then
  if (!size) {
    free(old);
    counter_add(&vm->gauges.lua_bytes, -(int64_t)old_size);
    return NULL;
  }
  if (size > old_size && vm->gauges.lua_bytes + (size - old_size) > vm->settings->limits.lua_memory)
    return NULL;
  if (size > old_size && vm_fault(&vm->faults)) return NULL;
  void *p = realloc(old, size);
  if (p) counter_add(&vm->gauges.lua_bytes, (int64_t)size - (int64_t)old_size);
  return p;
}

static int panic(lua_State *L) {
  const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "no message";
  fprintf(stderr, "spate: unprotected error in Lua: %s\n", message);
  abort();
}

static void on_warning(void *owner, const char *text, int to_be_continued) {
  struct vm *vm = owner;
  buf_append(&vm->warning, text, strlen(text));
  if (to_be_continued) return;
  if (vm->warning.len && vm->warning.bytes[0] != '@')
    log_message(LOG_WARN, "Lua: %.*s", (int)vm->warning.len, vm->warning.bytes);
  buf_reset(&vm->warning, 1024);
}

static int traceback(lua_State *L) {
  if (vm_of(L)->expired) return 1;
  struct span message;
  message.bytes = lua_tolstring(L, 1, &message.len);
  if (message.bytes) push_traceback(L, L, message, 1);
  return 1;
}

lua_State *vm_enter(struct vm *vm, lua_State *L) {
  lua_State *outer = vm->running;
  if (!outer) vm->slice++, vm->expired = false, watchdog_enter(vm);
  vm->running = L;
  return outer;
}

void vm_leave(struct vm *vm, lua_State *outer) { vm->running = outer; }

int vm_pcall(struct vm *vm, int nargs, int nresults) {
  lua_State *outer = vm_enter(vm, vm->L);
  int handler = lua_gettop(vm->L) - nargs;
  lua_pushcfunction(vm->L, traceback);
  lua_insert(vm->L, handler);
  int status = lua_pcall(vm->L, nargs, nresults, handler);
  lua_remove(vm->L, handler);
  vm_reset_hook(vm, vm->L);
  vm_leave(vm, outer);
  return status;
}

// The user's handler, unless the task's time is up: a handler that loops would otherwise outlive the stop.
int vm_xpcall_handler(lua_State *L) {
  if (vm_of(L)->expired) return 1;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static int xpcall_done(lua_State *L, int status, lua_KContext extra) {
  bool ok = status == LUA_OK || status == LUA_YIELD;
  if (!ok) {
    lua_pushboolean(L, 0);
    lua_pushvalue(L, -2);
    return 2;
  }
  return lua_gettop(L) - (int)extra;
}

int vm_xpcall(lua_State *L) {
  int n = lua_gettop(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, vm_xpcall_handler, 1);
  lua_replace(L, 2);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2);
  int status = lua_pcallk(L, n - 2, LUA_MULTRET, 2, 2, xpcall_done);
  return xpcall_done(L, status, 2);
}

char *vm_take_message(lua_State *L) {
  struct span text;
  struct buf message = {0};
  if (lua_type(L, -1) == LUA_TSTRING) {
    text.bytes = lua_tolstring(L, -1, &text.len);
    escape_lines(&message, text, SPAN(""));
  } else buf_printf(&message, "an error value of type %s", luaL_typename(L, -1));
  buf_append_byte(&message, 0);
  lua_pop(L, 1);
  return message.bytes;
}

static void on_gc_timer(struct timer *t) {
  struct vm *vm = container_of(t, struct vm, gc_timer);
  lua_State *outer = vm_enter(vm, vm->L);
  bool is_complete = lua_gc(vm->L, LUA_GCSTEP, GC_STEP_KB);
  vm_leave(vm, outer);
  if (is_complete) vm->gc_base = vm->gauges.lua_bytes;
  else loop_arm(vm->loop, &vm->gc_timer, vm->loop->now + 0.01);
}

// The collector works while scripts allocate; when they stop, this goes on with what they left behind.
static void watch_garbage(struct vm *vm) {
  if (vm->gauges.lua_bytes > vm->gc_base + vm->gc_base / 16 + (64 << 10) && !timer_is_armed(&vm->gc_timer))
    loop_arm(vm->loop, &vm->gc_timer, vm->loop->now + GC_IDLE_SECONDS);
}

static void tune_collector(struct vm *vm) {
  bool is_large = vm->gauges.lua_bytes > GC_SMALL;
  if (is_large == vm->is_large) return;
  vm->is_large = is_large;
  lua_gc(vm->L, LUA_GCINC, is_large ? GC_PAUSE_LARGE : GC_PAUSE_SMALL, 200, 0);
}

static bool on_turn(struct loop_hook *h) {
  struct vm *vm = container_of(h, struct vm, hook);
  exchange_start_closers(vm);
  bool more = task_run_queue(vm);
  tune_collector(vm);
  watch_garbage(vm);
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
    task_cancel_each(vm);
  }
}

static void arm_stop_timer(struct vm *vm) {
  loop_arm(vm->loop, &vm->stop_timer, vm->loop->now + vm->settings->shutdown.grace);
}

void vm_wind_up(struct vm *vm) {
  if (is_left(vm) && vm->gauges.tasks && !timer_is_armed(&vm->stop_timer)) arm_stop_timer(vm);
}

static int open_libraries(lua_State *L) {
  struct vm *vm = lua_touserdata(L, 1);
  lua_gc(L, LUA_GCINC, GC_PAUSE_SMALL, 200, 0);
  core_open(L, vm);
  return 0;
}

struct vm *vm_new(const struct vm_config *config, char **error) {
  struct vm *vm = xcalloc(1, sizeof *vm);
  vm->service = config->service, vm->settings = config->settings, vm->loop = config->loop;
  vm->worker = config->worker, vm->generation = config->generation, vm->faults = config->faults;
  vm->answer_ref = vm->closers_ref = vm->starters_ref = vm->beginnings_ref = vm->stoppers_ref =
      vm->retire_ref = LUA_NOREF;
  vm->gc_timer = (struct timer){.on_fire = on_gc_timer};
  vm->stop_timer = (struct timer){.on_fire = on_stop_timer};
  vm->hook = (struct loop_hook){.run = on_turn, .is_ready = has_ready_tasks};
  list_init(&vm->link);
  list_init(&vm->gauges.link);
  list_init(&vm->run_queue);
  list_init(&vm->tasks);
  list_init(&vm->closing);
  list_init(&vm->feeds);
  list_init(&vm->held);
  list_init(&vm->hook.link);
  vm->L = lua_newstate(allocate, vm);
  if (!vm->L) {
    *error = xstrdup("limits.lua_memory is too small for a Lua state");
    free(vm);
    return NULL;
  }
  vm->gauges.generation = vm->generation;
  metrics_add_state(&vm->service->process->metrics, &vm->gauges);
  lua_atpanic(vm->L, panic);
  lua_setwarnf(vm->L, on_warning, vm);
  *(struct vm **)lua_getextraspace(vm->L) = vm;
  lua_pushcfunction(vm->L, open_libraries);
  lua_pushlightuserdata(vm->L, vm);
  if (vm_pcall(vm, 1, 0) != LUA_OK) {
    *error = vm_take_message(vm->L);
    vm_free(vm);
    return NULL;
  }
  return vm;
}

void vm_attach(struct vm *vm) {
  struct service *service = vm->service;
  vm->loop = service->loop, vm->is_attached = true;
  // Before the service's own hook, which flushes: what a task sends goes out in the same turn.
  loop_hook_remove(vm->loop, &service->flush_hook);
  loop_hook_add(vm->loop, &vm->hook);
  loop_hook_add(vm->loop, &service->flush_hook);
}

void vm_detach(struct vm *vm, struct loop *loop) {
  task_cancel_all(vm);
  exchange_forget_closers(vm);
  list_each (node, &vm->feeds) feed_stop(container_of(node, struct feed, held));
  loop_hook_remove(vm->loop, &vm->hook);
  loop_disarm(vm->loop, &vm->gc_timer);
  loop_disarm(vm->loop, &vm->stop_timer);
  watchdog_forget(vm);
  vm->loop = loop, vm->is_attached = false;
}

void vm_free(struct vm *vm) {
  task_cancel_all(vm);
  vm->is_closing = true;
  vm_enter(vm, vm->L); // finalizers are watched as well
  lua_close(vm->L);
  vm_leave(vm, NULL);
  held_drop_all(vm);
  metrics_remove_state(&vm->service->process->metrics, &vm->gauges);
  watchdog_forget(vm);
  event_unref(vm->comment);
  buf_deinit(&vm->scratch);
  buf_deinit(&vm->warning);
  free(vm->app);
  free(vm->start_error);
  free(vm);
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

int vm_load(struct vm *vm, const char *path, char **error) {
  vm->app = xstrdup(path);
  lua_pushcfunction(vm->L, core_load);
  lua_pushlightuserdata(vm->L, (void *)path);
  if (vm_pcall(vm, 1, 0) == LUA_OK) return 0;
  *error = take_report(vm, path);
  return -1;
}

int vm_load_stand_in(struct vm *vm, const char *report) {
  lua_pushcfunction(vm->L, core_stand_in);
  lua_pushlightuserdata(vm->L, (void *)report);
  if (vm_pcall(vm, 1, 0) == LUA_OK) return 0;
  lua_pop(vm->L, 1);
  return -1;
}

static void log_error(char *message) {
  if (message) log_message(LOG_ERROR, "%s", message);
  free(message);
}

// NULL, or why not all of these functions have become tasks (the caller frees it).
static char *spawn_listed(struct vm *vm, int ref) {
  lua_pushcfunction(vm->L, core_spawn_listed);
  lua_pushinteger(vm->L, ref);
  return vm_pcall(vm, 1, 0) == LUA_OK ? NULL : vm_take_message(vm->L);
}

void vm_fail_start(struct vm *vm, char *why) {
  if (vm->start_error) free(why);
  else vm->start_error = why;
}

void vm_start(struct vm *vm) {
  vm->is_starting = true;
  vm_fail_start(vm, spawn_listed(vm, vm->starters_ref));
}

void vm_begin(struct vm *vm) {
  vm->is_starting = false;
  log_error(spawn_listed(vm, vm->beginnings_ref));
}

void vm_show_failure(struct vm *vm, const char *report) {
  lua_pushcfunction(vm->L, core_show_failure);
  lua_pushlightuserdata(vm->L, (void *)(uintptr_t)report);
  if (vm_pcall(vm, 1, 0) != LUA_OK) log_error(vm_take_message(vm->L));
}

void vm_stop(struct vm *vm) { log_error(spawn_listed(vm, vm->stoppers_ref)); }

// What the library has to do for those who still read what it made.
static int spawn_retirement(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, vm_of(L)->retire_ref);
  struct task *t = task_follow(L, 0, NULL);
  task_hold_state(t);
  t->of_app = true;
  return 0;
}

void vm_retire(struct vm *vm) {
  task_cancel_bound(vm);
  vm_stop(vm);
  vm->is_retired = true;
  if (vm->listed_running) arm_stop_timer(vm);
  lua_pushcfunction(vm->L, spawn_retirement);
  if (vm_pcall(vm, 0, 0) == LUA_OK) return;
  log_error(vm_take_message(vm->L));
  task_cancel_holding(vm); // which nothing would end
}

int vm_ref(lua_State *L) {
  int ref = luaL_ref(L, LUA_REGISTRYINDEX);
  vm_of(L)->refs++;
  return ref;
}

void vm_unref(struct vm *vm, int ref) {
  if (ref == LUA_NOREF || ref == LUA_REFNIL) return;
  luaL_unref(vm->L, LUA_REGISTRYINDEX, ref);
  vm->refs--;
}
