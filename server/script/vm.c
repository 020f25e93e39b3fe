// SPDX-License-Identifier: MIT
// The Lua state: its memory limit, its collector, the protected call. An error outside protection would end
// the process, and so nearly everything that touches the state runs as a C function under vm_pcall or in a
// task.
#include "script/vm.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/escape.h"
#include "base/log.h"
#include "base/mem.h"
#include "script/held.h"
#include "script/lua_report.h"
#include "script/watchdog.h"

// A small state may double before it is collected again; a large one, of thousands of streams, keeps little
// beside them.
enum { GC_PAUSE_SMALL = 200, GC_PAUSE_LARGE = 150, GC_SMALL = 2 << 20, GC_STEP_KB = 64, FREE_MAX = 32 << 20 };
// Where specs say when: a cycle is one step, of 2^31 bytes, and the next is far away.
enum { TOLD_PAUSE = 1000, TOLD_STEP = 31 };
static const double GC_IDLE_SECONDS = 0.5;

// Lua collects all garbage and tries once more. Only where it makes an object: the library's buffers do not.
static bool refuse_once(struct vm *vm, size_t type) {
  if (!vm->is_stressed || type < LUA_TSTRING) return false;
  vm->has_refused = !vm->has_refused;
  return vm->has_refused;
}

// Tables, functions and what they share, userdata, coroutines and long texts are made where the program says
// so. Whether a short text is there already, when a stack grows and when a finalizer runs is for Lua to say,
// and differs between its releases.
static bool is_object(size_t type, size_t size) {
  enum { LONG_TEXT = 80, SHARED_VARIABLE = LUA_NUMTYPES }; // texts of 40 bytes and less may be there already
  return type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA || type == LUA_TTHREAD ||
         type == SHARED_VARIABLE || (type == LUA_TSTRING && size > LONG_TEXT);
}

// Where objects are counted: only they fail, but in finalizers, where nothing counts, all that is asked for
// between the first and the last that do.
static bool refuse_growth(struct vm *vm, size_t type, size_t size) {
  struct vm_faults *faults = &vm->faults;
  if (!faults->is_of_objects) return vm_fault(faults);
  bool finalizes = vm->L && lua_gc(vm->L, LUA_GCISRUNNING) < 0;
  if (finalizes) return !faults->after;
  return is_object(type, size) && vm_fault(faults);
}

// True where this allocation is to fail first, which has Lua collect. What goes on by itself for a while ends
// in time for its second cycle never to begin.
static bool collect_when_told(struct vm *vm) {
  enum { OBJECTS = 8 }; // one of so many is made where Lua looks whether it is to collect
  struct vm_collection *c = vm->collection;
  if (vm->collects && --vm->collects == 0 && lua_gc(vm->L, LUA_GCSTOP) < 0) vm->collects = 1; // a finalizer's
  if (c->ends_after && --c->ends_after == 0) {
    vm->collects = OBJECTS, vm->has_collected = true;
    lua_gc(vm->L, LUA_GCRESTART);
  }
  return c->finds_after && --c->finds_after == 0 && !vm->is_stressed; // or it would fail twice
}

static void *allocate(void *owner, void *old, size_t old_size, size_t size) {
  struct vm *vm = owner;
  size_t type = old ? 0 : old_size;
  if (!old) old_size = 0; // it is a type tag then
  if (size && refuse_once(vm, type)) return NULL;
  if (vm->collection && vm->L && !vm->is_closing && is_object(type, size) && collect_when_told(vm))
    return NULL;
  if (!size) {
    slab_free(&vm->slab, old, old_size);
    counter_add(&vm->gauges.lua_bytes, -(int64_t)old_size);
    return NULL;
  }
  if (size > old_size && vm->gauges.lua_bytes + (size - old_size) > vm->settings->limits.lua_memory)
    return vm->refusals++, NULL;
  if (size > old_size && vm->faults.count && refuse_growth(vm, type, size)) return vm->refusals++, NULL;
  void *p = slab_resize(&vm->slab, old, old_size, size);
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

int vm_call_in_task(lua_State *L, int handler, lua_KContext context, lua_KFunction k) {
  return lua_pcallk(L, 1, 2, handler, context, k);
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

static bool collect(struct vm *vm, int kb) {
  lua_State *outer = vm_enter(vm, vm->L);
  bool is_complete = lua_gc(vm->L, LUA_GCSTEP, vm->collection ? 0 : kb);
  vm_leave(vm, outer);
  return is_complete;
}

// What the garbage needed would stay the process's otherwise. Where more than that is free it takes longer,
// and is done while no worker has a turn (process/spare).
static void give_back(struct vm *vm) {
  if (slab_trim(&vm->slab) && mallinfo2().fordblks < FREE_MAX) malloc_trim(0);
}

static void on_gc_timer(struct timer *t) {
  struct vm *vm = container_of(t, struct vm, gc_timer);
  // A generational collector has no cycle that ends: its step, of no size, is a whole collection of what is
  // young.
  bool is_complete = collect(vm, vm->is_generational ? 0 : GC_STEP_KB) || vm->is_generational;
  if (is_complete) {
    vm->gc_base = vm->gauges.lua_bytes;
    give_back(vm);
  } else loop_arm(vm->loop, &vm->gc_timer, vm->loop->now + 0.01);
}

static void tune_collector(struct vm *vm) {
  if (vm->collection) return;
  bool is_large = vm->gauges.lua_bytes > (vm->is_large ? GC_SMALL / 4 * 3 : GC_SMALL);
  if (is_large == vm->is_large || vm->is_generational) return;
  vm->is_large = is_large;
  lua_gc(vm->L, LUA_GCINC, is_large ? GC_PAUSE_LARGE : GC_PAUSE_SMALL, 200, 0);
  if (is_large) collect(vm, 0); // a new cycle begins now: when to, was decided while the heap was small
}

static bool has_garbage(const struct vm *vm) {
  return vm->gauges.lua_bytes > vm->gc_base + vm->gc_base / 16 + (64 << 10);
}

// The collector works while scripts allocate; when they stop, a timer goes on with what they left behind.
void vm_watch_garbage(struct vm *vm) {
  tune_collector(vm);
  bool is_due = vm->collection ? vm->has_collected : has_garbage(vm);
  if (is_due && !timer_is_armed(&vm->gc_timer))
    loop_arm(vm->loop, &vm->gc_timer, vm->loop->now + GC_IDLE_SECONDS);
  vm->has_collected = false;
}

struct vm *vm_new(const struct vm_config *config, char **error) {
  struct vm *vm = xcalloc(1, sizeof *vm);
  vm->service = config->service, vm->settings = config->settings, vm->loop = config->loop;
  vm->worker = config->worker, vm->generation = config->generation, vm->faults = config->faults;
  vm->collection = config->collection;
  vm->answer_ref = vm->plain_ref = vm->complete_ref = vm->places_ref = vm->closers_ref = vm->starters_ref =
      vm->beginnings_ref = vm->stoppers_ref = vm->retire_ref = LUA_NOREF;
  vm->gc_timer = (struct timer){.on_fire = on_gc_timer};
  list_init(&vm->link);
  list_init(&vm->gauges.link);
  list_init(&vm->run_queue);
  list_init(&vm->tasks);
  list_init(&vm->closing);
  list_init(&vm->feeds);
  list_init(&vm->held);
  list_init(&vm->hook.link);
  slab_init(&vm->slab);
  vm->L = lua_newstate(allocate, vm);
  if (!vm->L) {
    slab_deinit(&vm->slab);
    *error = xstrdup("limits.lua_memory is too small for a Lua state");
    free(vm);
    return NULL;
  }
  vm->gauges.generation = vm->generation, vm->gauges.is_helper = config->is_helper;
  metrics_add_state(&vm->service->process->metrics, &vm->gauges);
  lua_atpanic(vm->L, panic);
  lua_setwarnf(vm->L, on_warning, vm);
  *(struct vm **)lua_getextraspace(vm->L) = vm;
  vm->is_large = true; // while it is loaded, so that what stays does not lie among garbage
  if (vm->collection) lua_gc(vm->L, LUA_GCSTOP), lua_gc(vm->L, LUA_GCINC, TOLD_PAUSE, TOLD_PAUSE, TOLD_STEP);
  else lua_gc(vm->L, LUA_GCINC, GC_PAUSE_LARGE, 200, 0);
  return vm;
}

void vm_free(struct vm *vm) {
  vm->is_closing = true;
  vm_enter(vm, vm->L); // finalizers are watched as well
  lua_close(vm->L);
  vm_leave(vm, NULL);
  held_drop_all(vm);
  slab_deinit(&vm->slab);
  metrics_remove_state(&vm->service->process->metrics, &vm->gauges);
  watchdog_forget(vm);
  event_unref(vm->comment);
  buf_deinit(&vm->scratch);
  buf_deinit(&vm->warning);
  free(vm->app);
  free(vm->routes);
  free(vm->start_error);
  free(vm);
}

void vm_fail_start(struct vm *vm, char *why) {
  if (vm->start_error) free(why);
  else vm->start_error = why;
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
