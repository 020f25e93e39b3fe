// SPDX-License-Identifier: MIT
// Tasks. A slice is one resume from the run queue, so the depth of the C stack does not depend on who woke
// whom. A waiting task is found by what it waits for (wait_link, its timer); waking only links it. Its
// results are built by the continuation that task_wait was given, inside protection. Coroutines are used
// again when they end well.
#include "script/task.h"
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"
#include "script/coroutine.h"
#include "script/lua_report.h"
#include "script/obstacle.h"
#include "script/raise.h"
#include "script/vm.h"

static const double TURN_SECONDS = 0.01;    // of tasks, before descriptors get their turn again
static const double BLOCKED_SECONDS = 0.01; // of one task: a sleep no longer makes up for it

static void enqueue(struct task *t) {
  t->state = TASK_READY;
  list_remove(&t->wait_link);
  loop_disarm(t->vm->loop, &t->timer);
  if (list_empty(&t->run_link)) list_append(&t->vm->run_queue, &t->run_link);
}

static void on_timer(struct timer *timer) {
  struct task *t = container_of(timer, struct task, timer);
  t->timed_out = true;
  t->woken_at = timer->deadline;
  enqueue(t);
}

void task_wake(struct task *t) {
  if (t->state != TASK_WAITING) return;
  t->woken_at = -1;
  enqueue(t);
}

void waitlist_wake_all(struct waitlist *w) {
  for (struct list *node; (node = list_shift(&w->tasks));)
    task_wake(container_of(node, struct task, wait_link));
}

// With a coroutine on top of L, which is popped.
static struct task *adopt(lua_State *L, lua_State *co, int ref) {
  struct vm *vm = vm_of(L);
  struct task *t = slab_take(&vm->slab, sizeof *t);
  *t = (struct task){.vm = vm,
                     .co = co,
                     .co_ref = ref,
                     .fn_ref = LUA_NOREF,
                     .timer = {.on_fire = on_timer},
                     .woken_at = -1,
                     .again_at = -1};
  list_init(&t->run_link);
  list_init(&t->wait_link);
  list_init(&t->all_link);
  list_init(&t->ties);
  list_append(&vm->tasks, &t->all_link);
  counter_add(&vm->gauges.tasks, 1);
  return t;
}

struct task *task_follow(lua_State *L, int nargs, const struct task_ops *ops) {
  struct vm *vm = vm_of(L);
  int ref;
  if (vm->is_closing) raise_error(L, "no task can start: its application has ended");
  lua_State *co = co_new(L, &ref); // small: a used one keeps the stack that its deepest call needed
  if (!lua_checkstack(co, nargs + 2)) {
    vm_unref(vm, ref);
    raise_error(L, "too many arguments");
  }
  struct task *t = adopt(L, co, ref);
  t->ops = ops, t->nargs = (uint8_t)nargs;
  t->of_app = !vm->current || vm->current->of_app;
  lua_xmove(L, co, nargs + 1);
  enqueue(t);
  return t;
}

struct task *task_spawn(lua_State *L, int nargs, const struct task_ops *ops) {
  struct vm *vm = vm_of(L);
  if (vm->gauges.tasks >= vm->settings->limits.tasks || vm_fault(&vm->task_faults)) {
    service_refused(vm->service, LIMIT_TASKS);
    raise_error(L, "more than %zu tasks at a time (limits.tasks)", vm->settings->limits.tasks);
  }
  return task_follow(L, nargs, ops);
}

void task_hold(struct task *t, lua_State *L, int index) {
  t->handle = lua_touserdata(L, index);
  lua_pushvalue(L, index);
  lua_xmove(L, t->co, 1);
  lua_insert(t->co, 1);
}

void task_hold_state(struct task *t) {
  t->holds_state = true;
  t->vm->holding_count++;
}

struct task *task_start(struct vm *vm, lua_CFunction fn, void *arg, const struct task_ops *ops) {
  int ref;
  lua_State *co = co_take(vm, &ref);
  if (!co) return NULL;
  struct task *t = adopt(vm->L, co, ref);
  t->ops = ops, t->nargs = 1;
  lua_pushcfunction(co, fn);
  lua_pushlightuserdata(co, arg);
  enqueue(t);
  return t;
}

struct task *task_repeat(lua_State *L, double deadline) {
  if (vm_of(L)->is_closing) raise_error(L, "no task can start: its application has ended");
  int ref = vm_ref(L);
  struct task *t = adopt(L, NULL, LUA_NOREF);
  t->fn_ref = ref, t->state = TASK_WAITING;
  loop_arm(t->vm->loop, &t->timer, deadline);
  return t;
}

int task_again(struct task *t, double deadline) {
  t->again_at = deadline;
  return 0;
}

// While the coroutine holds the handle: without memory no finalizer would tell that it is gone.
static void leave_handle(struct task *t) {
  struct task_handle *h = t->handle;
  if (!h) return;
  t->handle = NULL, h->task = NULL;
  if (h->ended) waitlist_wake_all(h->ended);
}

void task_cut_ties(struct task *t) {
  for (struct list *node; (node = list_shift(&t->ties));) {
    struct tie *tie = container_of(node, struct tie, link);
    tie->cut(tie);
  }
}

// What is tied to a task that ends well goes on by itself.
static void end_ties(struct task *t, int status) {
  if (status != LUA_OK) task_cut_ties(t);
  while (list_shift(&t->ties)) continue;
}

// Takes the task apart. Its coroutine goes to the pool where it ended well, else to the collector.
static void end(struct task *t, int status) {
  struct vm *vm = t->vm;
  leave_handle(t);
  list_remove(&t->run_link);
  list_remove(&t->wait_link);
  list_remove(&t->all_link);
  loop_disarm(vm->loop, &t->timer);
  end_ties(t, status);
  if (t->ops && t->ops->on_end) t->ops->on_end(t, status);
  counter_add(&vm->gauges.tasks, -1);
  vm->holding_count -= t->holds_state;
  if (status == LUA_OK) co_give(vm, t->co, t->co_ref);
  else vm_unref(vm, t->co_ref);
  vm_unref(vm, t->fn_ref);
  slab_free(&vm->slab, t, sizeof *t);
}

// True for an on_start function on which it depends whether its state is served: its error is not logged but
// told.
static bool decides_start(const struct task *t) { return t->is_starter && t->vm->is_starting; }

// report_error(task, a light userdata; error)
static int report_error(lua_State *L) {
  const struct task *t = lua_touserdata(L, 1);
  struct log_line line;
  struct span text;
  text.bytes = luaL_tolstring(L, 2, &text.len);
  push_traceback(L, t->co, text, 0);
  if (decides_start(t)) {
    lua_pushstring(L, t->vm->app);
    report_call(L, "of_loading", 2);
    vm_fail_start(t->vm, vm_take_message(L));
    return 0;
  }
  report_call(L, "logged", 1);
  text.bytes = luaL_checklstring(L, -1, &text.len);
  if (!log_is_on(LOG_ERROR)) return 0;
  log_begin(&line, LOG_ERROR, clock_wall(t->vm->loop->clock), text);
  if (t->ops && t->ops->add_fields) t->ops->add_fields(t, &line);
  log_end(&line);
  return 0;
}

// Logs the error on top of the task's stack with a traceback.
static void report(struct task *t) {
  struct vm *vm = t->vm;
  lua_pushcfunction(vm->L, report_error);
  lua_pushlightuserdata(vm->L, t);
  lua_pushvalue(t->co, -1);
  lua_xmove(t->co, vm->L, 1);
  if (vm_pcall(vm, 2, 0) == LUA_OK) return;
  log_message(LOG_ERROR, "a task failed, and its error cannot be shown");
  lua_pop(vm->L, 1);
}

static int collect_garbage(lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  return 0;
}

static void collect_all(struct vm *vm) {
  lua_pushcfunction(vm->L, collect_garbage);
  if (vm_pcall(vm, 0, 0) != LUA_OK) lua_pop(vm->L, 1);
}

// Unwinds a task at its wait or after an error: its <close> variables run; `tell` of an error in them (after
// an error of the task itself it would be that one again).
static void unwind(struct task *t, bool tell) {
  struct vm *vm = t->vm;
  struct task *outer = vm->current;
  vm->current = t;
  t->closing = true;
  list_remove(&t->wait_link); // what it is linked in may be collected from now on
  loop_disarm(vm->loop, &t->timer);
  leave_handle(t); // whoever it wakes runs after this
  if (t->co && co_close(t->co, vm->L) != LUA_OK && tell) report(t);
  vm->current = outer;
}

static void on_stopped(struct task *t) {
  struct vm *vm = t->vm;
  char *why = xasprintf("%s: stopped after %g s of CPU time without waiting (limits.burst)", vm->expired_at,
                        vm->settings->limits.burst);
  if (decides_start(t)) vm_fail_start(vm, why);
  else log_message(LOG_ERROR, "%s", why), free(why);
  t->stopped = true;
  unwind(t, false);
  end(t, LUA_ERRRUN);
}

// What a slow client's task fails with is the client's doing.
static bool is_behind(struct task *t) {
  return t->ops && t->ops->on_behind && is_slow_error(t->co) && t->ops->on_behind(t);
}

static void on_error(struct task *t, int status) {
  if (!is_behind(t)) report(t);
  unwind(t, false);
  t->vm->is_starved |= status == LUA_ERRMEM;
  end(t, status);
}

static void on_cancelled(struct task *t) {
  unwind(t, true);
  end(t, LUA_YIELD);
}

// Between two calls of a repeated function a task has no coroutine.
static void rest(struct task *t) {
  co_give(t->vm, t->co, t->co_ref);
  t->co = NULL, t->co_ref = LUA_NOREF;
  t->state = TASK_WAITING;
  loop_arm(t->vm->loop, &t->timer, MAX(t->again_at, t->vm->loop->now));
}

static void rise(struct task *t) {
  t->co = co_take(t->vm, &t->co_ref);
  if (t->co) lua_rawgeti(t->co, LUA_REGISTRYINDEX, t->fn_ref);
  t->again_at = -1;
}

static void task_resume(struct task *t) {
  struct vm *vm = t->vm;
  int nresults = 0, nargs = t->nargs;
  vm->current = t, vm->slice_began = vm->loop->now;
  t->state = TASK_RUNNING, t->waiting = false, t->nargs = 0, t->must_start = false;
  int status = co_resume(t->co, vm->L, nargs, &nresults);
  vm->current = NULL;
  if (vm->expired) on_stopped(t);
  else if (status == LUA_OK && t->again_at >= 0 && !t->cancelled) rest(t);
  else if (status == LUA_OK) end(t, LUA_OK);
  else if (status != LUA_YIELD) on_error(t, status);
  else if (t->cancelled) on_cancelled(t);
}

void task_cancel(struct task *t) {
  t->cancelled = true;
  if (t->state == TASK_WAITING) enqueue(t);
}

// No memory for a coroutine.
static void starve(struct task *t) {
  log_message(LOG_ERROR, "a task ends for lack of memory");
  t->vm->is_starved = true;
  end(t, LUA_ERRMEM);
}

static void task_step(struct task *t) {
  if (t->cancelled && !t->must_start) {
    on_cancelled(t);
    return;
  }
  if (!t->co) rise(t);
  if (t->co) task_resume(t);
  else starve(t);
}

void task_cancel_bound(struct vm *vm) {
  list_each (node, &vm->tasks) {
    struct task *t = container_of(node, struct task, all_link);
    if (t->is_bound) task_cancel(t);
  }
}

void task_cancel_holding(struct vm *vm) {
  list_each (node, &vm->tasks) {
    struct task *t = container_of(node, struct task, all_link);
    if (t->holds_state) task_cancel(t);
  }
}

void task_cancel_stoppers(struct vm *vm) {
  list_each (node, &vm->tasks) {
    struct task *t = container_of(node, struct task, all_link);
    if (t->is_stopper) task_cancel(t);
  }
}

void task_cancel_each(struct vm *vm) {
  list_each (node, &vm->tasks) task_cancel(container_of(node, struct task, all_link));
}

void task_cancel_all(struct vm *vm) {
  while (!list_empty(&vm->tasks)) {
    struct task *t = container_of(vm->tasks.next, struct task, all_link);
    t->cancelled = true;
    on_cancelled(t);
  }
}

bool task_run_queue(struct vm *vm) {
  struct list now;
  list_init(&now);
  list_splice(&now, &vm->run_queue);
  double until = loop_time(vm->loop) + TURN_SECONDS;
  while (!list_empty(&now) && vm->loop->now <= until) {
    vm->has_looked = false;
    task_step(container_of(list_shift(&now), struct task, run_link));
    if (!vm->has_looked) loop_time(vm->loop); // what follows is to know that this one has blocked
  }
  list_splice(&now, &vm->run_queue); // those left over come first
  list_splice(&vm->run_queue, &now);
  if (vm->is_starved) vm->is_starved = false, collect_all(vm);
  return !list_empty(&vm->run_queue);
}

// Of all coroutines that its yield goes through.
static bool is_yieldable(const struct task *t) {
  for (const struct wrap *w = t->wrap; w; w = w->outer)
    if (!lua_isyieldable(w->co)) return false;
  return lua_isyieldable(t->co);
}

// The coroutine that the task runs in, whose yield is the task's.
static const lua_State *coroutine_of(const struct task *t) { return t->wrap ? t->wrap->co : t->co; }

static bool can_wait(const lua_State *L, const struct task *t) {
  return t && !t->closing && L == coroutine_of(t) && is_yieldable(t);
}

bool task_can_wait(lua_State *L) { return can_wait(L, vm_of(L)->current); }

static void refuse_wait(lua_State *L, const struct task *t, const char *what) {
  if (vm_of(L)->gauges.is_helper)
    raise_error(L, "%s: nothing can wait in a function that spate.offload runs", what);
  if (!t && vm_of(L)->router)
    raise_error(L, "%s: cannot wait inside %s, which no task calls", what, push_obstacle(L));
  if (!t)
    raise_error(L,
                "%s: nothing can wait while the script is loaded; do it in a handler, a stream or sse.spawn",
                what);
  if (t->closing) raise_error(L, "%s: cannot wait in __close while its task is being cancelled", what);
  if (L != coroutine_of(t))
    raise_error(L,
                "%s: cannot wait inside a coroutine of your own: its resume would get the wait; use sse.wrap",
                what);
  raise_error(L, "%s: cannot wait inside %s, which calls back from C; collect first, then wait", what,
              push_obstacle(L));
}

struct task *task_check(lua_State *L, const char *what) {
  struct task *t = vm_of(L)->current;
  if (!can_wait(L, t)) refuse_wait(L, t, what);
  return t;
}

int task_wait(lua_State *L, struct task *t, double deadline, lua_KContext context, lua_KFunction k) {
  t->state = TASK_WAITING;
  t->waiting = true, t->timed_out = false, t->woken_at = -1;
  // Not in the past: a sleep that follows counts from a late turn's deadline, but not from late work's.
  if (deadline < INFINITY) loop_arm(t->vm->loop, &t->timer, MAX(deadline, t->vm->loop->now));
  return lua_yieldk(L, 0, context, k);
}

int task_wait_in(lua_State *L, struct task *t, struct waitlist *w, double deadline, lua_KContext context,
                 lua_KFunction k) {
  list_append(&w->tasks, &t->wait_link);
  return task_wait(L, t, deadline, context, k);
}

double task_look(const struct task *t) {
  t->vm->has_looked = true;
  return loop_time(t->vm->loop);
}

double task_time(const struct task *t, double seconds) {
  double now = task_look(t);
  bool has_blocked = now - t->vm->slice_began > BLOCKED_SECONDS;
  return t->woken_at >= 0 && !has_blocked ? MAX(t->woken_at, now - seconds) : now;
}
