// SPDX-License-Identifier: MIT
// One Lua state of one generation, and the protected call: Lua is entered by two doors only, vm_pcall here
// and co_resume in coroutine.c. One thread at a time. What it loads and runs is app.h's.
#pragma once
#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>
#include "base/buf.h"
#include "base/slab.h"
#include "http/router.h"
#include "loop/loop.h"
#include "serve/service.h"

enum { COROUTINE_POOL_MAX = 128 };

struct offload;
struct task;

// For specs: allocations that fail as if memory had run out, or tasks that are one too many.
struct vm_faults {
  size_t after;       // so many more succeed ...
  size_t count;       // ... then so many fail: Lua tries each twice, with a collection between
  bool is_of_objects; // counts only those that a program makes by itself, whichever release of Lua runs it
};

// For specs: when garbage is collected, where Lua's own pace is not to decide it. After so many more objects
// that a program makes by itself (0: not at all) what nobody holds is found, without finalizers, as where
// memory has run out; after so many all is done, in the midst of what makes them, and once more when the
// state has come to rest.
struct vm_collection {
  size_t finds_after, ends_after;
};

// Whether this one is one that shall fail.
static inline bool vm_fault(struct vm_faults *f) {
  if (!f->count) return false;
  if (f->after) return f->after--, false;
  f->count--;
  return true;
}

struct vm {
  struct list link; // in the generations of its worker
  struct state_gauges gauges;
  lua_State *L;
  struct slab slab; // Lua's memory, tasks and exchanges
  struct service *service;
  struct loop *loop; // the service's while it is attached; else one whose time is all that is used
  const struct settings *settings;
  int worker;          // its number, from 0
  unsigned generation; // from 1
  char *app;           // path of the application's file, once it is loaded
  lua_CFunction open;  // fills a state with the library, given the vm as a light userdata
  bool is_attached, is_retired;
  bool is_stressed, has_refused; // for specs: a full collection goes before each object that is made
  unsigned close_depth;          // coroutines that close one another
  struct offload *offload;       // states beside this one; NULL until they are asked for
  struct vm_faults faults, task_faults;
  struct vm_collection *collection; // for specs: of all states of a worker; NULL: Lua collects by itself
  unsigned collects;                // ... as long as so many more objects are made
  bool has_collected;               // ... in this turn
  size_t refusals;                  // for specs: allocations that did not come about
  struct router *router;            // the application's; NULL until it is installed
  uint16_t *routes;                 // numbers of its routes among the metrics', by their own; NULL: none
  size_t route_count;
  lua_CFunction answer;        // the body of a request's task, given its exchange as a light userdata
  int answer_ref, closers_ref; // the library's functions that answer a request, that run on_close
  int plain_ref, complete_ref, places_ref; // what core.plain_routes was given
  const void *reply_meta, *request_meta;   // the metatables of replies and of requests
  int request_meta_ref;
  int starters_ref, beginnings_ref, stoppers_ref, retire_ref;
  bool is_starting;        // its on_start functions say whether it will be served
  int starters_running;    // those that have not ended
  char *start_error;       // what the first to fail has said; NULL: none has
  struct timer stop_timer; // of a retired state: what still runs has had its time
  int listed_running;      // on_stop functions that have not ended
  struct loop_hook hook;   // drains the run queue
  struct list run_queue, tasks;
  struct list closing; // exchanges that are over, whose on_close functions are to start
  size_t exchange_count;
  size_t holding_count;         // tasks that a retired state is kept for
  size_t closing_count;         // exchanges of which only on_close functions are left
  struct list feeds;            // that tasks read, or may; their subscriptions are held
  struct list held;             // channels and dictionaries likewise
  struct task *current;         // the task whose slice this is
  lua_State *volatile running;  // the coroutine that runs now; the watchdog's signal reads it
  volatile unsigned long slice; // counts entries into Lua
  double slice_began;           // of the task that runs, time of the loop
  bool has_looked;              // at the clock, when the task that runs began to wait
  volatile bool expired;        // the present slice has used up its time
  const void *slow_errors;      // the metatable of what raise_slow raises, once there is one
  bool is_starved;              // a task has failed for lack of memory in this turn
  char expired_at[128];         // where that was
  struct pooled_coroutine {
    lua_State *co;
    int ref;                  // of the registry
  } pool[COROUTINE_POOL_MAX]; // that have ended well
  int pooled;
  int refs;              // registry references held from C
  struct event *comment; // the last keep-alive comment, with its text's length and bytes in it
  struct buf scratch;    // JSON on its way into an event
  struct buf warning;    // a warning in the making
  size_t gc_base;        // bytes after the last full cycle of the collector
  bool is_large;         // its heap, for the collector's pace
  bool is_generational;  // by the application's choice
  struct timer gc_timer;
  double collect_from; // when the collector may look for channels again, where there are too many
  bool is_closing;     // nothing can start any more: tasks are ended, finalizers run
  lua_Hook trace;      // sees each line that runs, where it is set before an application is loaded
};

struct vm_config {
  struct service *service; // of its worker; until the state is attached only what never changes of it is used
  struct loop *loop;       // whose time it has until then
  const struct settings *settings;
  int worker;
  unsigned generation;
  bool is_helper; // it runs functions for spate.offload: no loop, no tasks
  struct vm_faults faults;
  struct vm_collection *collection; // outlives the state
};

// A state with nothing in it. NULL with a reason in `error` (the caller frees it). What `config` points to
// outlives it. Any thread.
struct vm *vm_new(const struct vm_config *config, char **error);

// Closes a state that no task is left in, and drops what its userdata still hold.
void vm_free(struct vm *vm);

// The number among the metrics' of one of its routes; 0 of what is none.
static inline uint16_t vm_route(const struct vm *vm, int route) {
  return route > 0 && (size_t)route < vm->route_count ? vm->routes[route] : 0;
}

// True once a retired state answers no request any more, but for their on_close functions.
static inline bool vm_has_no_requests(const struct vm *vm) {
  return vm->is_retired && vm->exchange_count == vm->closing_count;
}

// True once nothing of a retired state is at work any more.
static inline bool vm_is_spent(const struct vm *vm) {
  return vm->is_retired && !vm->gauges.tasks && !vm->exchange_count;
}

// The state's owner, from any of its threads. The lowest bit marks the coroutine of a task, which only the
// run queue may resume; new coroutines start without it.
static inline struct vm *vm_of(lua_State *L) {
  return (struct vm *)(*(uintptr_t *)lua_getextraspace(L) & ~(uintptr_t)1);
}
static inline bool is_task_coroutine(lua_State *L) { return *(uintptr_t *)lua_getextraspace(L) & 1; }
static inline void mark_task_coroutine(lua_State *L) { *(uintptr_t *)lua_getextraspace(L) |= 1; }

// Calls what lies on vm->L under `nargs` arguments. LUA_OK, or a status with one message, a traceback in it,
// on top.
int vm_pcall(struct vm *vm, int nargs, int nresults);

// The message on top of the stack as a text of the caller's, all of it: what is not to be printed is escaped.
// Pops it.
char *vm_take_message(lua_State *L);

// True once all on_start functions have ended well, or vm->start_error says why the state is not to be
// served.
static inline bool vm_has_started(const struct vm *vm) { return vm->start_error || !vm->starters_running; }

// Notes why it is not to be served (takes it), unless that is known.
void vm_fail_start(struct vm *vm, char *why);

// Takes a reference to the value on top of L's stack and pops it; gives one back. Raises on lack of memory.
int vm_ref(lua_State *L);
void vm_unref(struct vm *vm, int ref);

// Call once per turn: sets the collector's pace, and has it go on where scripts have come to rest.
void vm_watch_garbage(struct vm *vm);

// Bracket whatever runs Lua, so that the watchdog can tell one entry from the next. Returns the outer one's
// coroutine, to hand back.
lua_State *vm_enter(struct vm *vm, lua_State *L);
void vm_leave(struct vm *vm, lua_State *outer);

// Takes off `L` whatever hook it has, but the trace.
static inline void vm_reset_hook(const struct vm *vm, lua_State *L) {
  lua_sethook(L, vm->trace, vm->trace ? LUA_MASKLINE : 0, 0);
}

// A protected call in a task, of a function under one argument, to two results, with an error handler at
// `handler`; `k` goes on behind a wait in it.
int vm_call_in_task(lua_State *L, int handler, lua_KContext context, lua_KFunction k);

// xpcall(f, handler, ...) for scripts, and what Lua calls in place of their handlers.
int vm_xpcall(lua_State *L);
int vm_xpcall_handler(lua_State *L);
