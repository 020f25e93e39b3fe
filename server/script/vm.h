// SPDX-License-Identifier: MIT
// One Lua state of one generation, with the application loaded in it. One thread at a time. Lua is entered by
// two doors only: vm_pcall here and task_resume in task.c.
#pragma once
#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>
#include "base/buf.h"
#include "http/router.h"
#include "loop/loop.h"
#include "serve/service.h"

enum { COROUTINE_POOL_MAX = 128 };

struct task;

struct vm {
  lua_State *L;
  struct service *service;
  struct loop *loop;
  const struct settings *settings;
  int worker;                  // its number, from 0
  size_t bytes, bytes_peak;    // allocated by Lua
  struct router *router;       // the application's; NULL until it is installed
  int answer_ref, closers_ref; // the library's functions that answer a request, that run on_close
  int starters_ref, stoppers_ref;
  int listed_running;    // on_stop functions that have not ended
  struct loop_hook hook; // drains the run queue
  struct list run_queue, tasks;
  size_t task_count;
  struct task *current;         // the task whose slice this is
  lua_State *volatile running;  // the coroutine that runs now; the watchdog's signal reads it
  volatile unsigned long slice; // counts entries into Lua
  volatile bool expired;        // the present slice has used up its time
  bool is_starved;              // a task has failed for lack of memory in this turn
  char expired_at[128];         // where that was
  int pool[COROUTINE_POOL_MAX]; // registry references of finished coroutines
  int pooled;
  int refs;              // registry references held from C
  struct event *comment; // the last keep-alive comment, with its text's length and bytes in it
  struct buf scratch;    // JSON on its way into an event
  struct buf warning;    // a warning in the making
  size_t gc_base;        // bytes after the last full cycle of the collector
  bool is_large;         // its heap, for the collector's pace
  struct timer gc_timer;
};

// A state with the library in it, its tasks hooked to the service's loop. NULL with a reason in `error` (the
// caller frees it). `service` and `settings` outlive it.
struct vm *vm_new(struct service *service, const struct settings *settings, int worker, char **error);

// Cancels every task (their <close> variables run) and frees the state.
void vm_free(struct vm *vm);

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

// Loads and runs an application's file and installs the app that it returns. 0, or -1 with the message, as
// `file:line: what`, in *error (the caller frees it).
int vm_load(struct vm *vm, const char *path, char **error);

// Starts what the application wants started with the server: on_start functions, sse.every.
void vm_start(struct vm *vm);

// Begins on_stop functions as tasks.
void vm_stop(struct vm *vm);

// Takes a reference to the value on top of L's stack and pops it; gives one back. Raises on lack of memory.
int vm_ref(lua_State *L);
void vm_unref(struct vm *vm, int ref);

// Bracket whatever runs Lua, so that the watchdog can tell one entry from the next. Returns the outer one's
// coroutine, to hand back.
lua_State *vm_enter(struct vm *vm, lua_State *L);
void vm_leave(struct vm *vm, lua_State *outer);

// Raises an error at the user's line: the nearest function on the stack that is not the library's own.
int raise_error(lua_State *L, const char *format, ...) PRINTF_LIKE(2, 3);

// Raises "bad argument" of this kind at the user's line: what was expected, what came.
int raise_type(lua_State *L, int index, const char *what, const char *expected);

// lua_pcallk, for xpcall of our own: call from a C function in a coroutine.
int vm_protect(lua_State *L, int nargs, int handler, lua_KContext context, lua_KFunction k);
