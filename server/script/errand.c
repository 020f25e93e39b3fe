// SPDX-License-Identifier: MIT
// An errand is the task's until it is under way; then whoever comes last frees it: the task, which lets go of
// the box that holds it, or the work, when it comes home.
#include "script/errand.h"
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "script/raise.h"
#include "script/vm.h"

static struct errand *errand_of(struct job *j) { return container_of(j, struct errand, work.job); }

static void run(struct work *w) {
  struct errand *e = container_of(w, struct errand, work);
  e->ops->run(e);
}

static void on_done(struct job *j) {
  struct errand *e = errand_of(j);
  e->state = ERRAND_DONE;
  waitlist_wake_all(&e->waiter);
}

bool errand_hold(struct errand *e, size_t bytes) {
  struct service *s = e->service;
  size_t others = atomic_fetch_add(&s->work_bytes, bytes) - e->held;
  bool fits = !others || others + e->held + bytes <= s->settings->limits.work;
  if (fits) e->held += bytes;
  else atomic_fetch_sub(&s->work_bytes, bytes);
  return fits;
}

static void free_errand(struct errand *e) {
  atomic_fetch_sub(&e->service->work_bytes, e->held);
  e->ops->free(e);
}

static void on_home(struct job *j) {
  struct errand *e = errand_of(j);
  if (e->state == ERRAND_LEFT) free_errand(e);
}

// Of the task's stack.
struct hold {
  struct held held;
  struct errand *errand; // NULL once it is let go of
};

static void let_go(struct held *h) {
  struct hold *hold = container_of(h, struct hold, held);
  struct errand *e = hold->errand;
  hold->errand = NULL;
  if (e && e->state == ERRAND_UNDER_WAY) {
    e->state = ERRAND_LEFT;
    pool_abandon(&e->work);
  } else if (e) free_errand(e);
}

static void drop(struct vm *vm, struct held *h) {
  (void)vm;
  let_go(h);
  free(container_of(h, struct hold, held));
}

static struct errand *errand_in(struct held *const *box) {
  return container_of(*box, struct hold, held)->errand;
}

void errand_put(lua_State *L, struct held **box, struct errand *e, const struct errand_ops *ops) {
  e->ops = ops, e->state = ERRAND_HELD, e->service = vm_of(L)->service, e->held = 0;
  waitlist_init(&e->waiter);
  struct hold *hold = xmalloc(sizeof *hold);
  *hold = (struct hold){.errand = e};
  held_put(L, box, &hold->held, drop);
  hold->held.leave = let_go;
}

static int done(lua_State *L, int status, lua_KContext index) {
  (void)status;
  struct errand *e = errand_in(lua_touserdata(L, (int)index));
  if (e->state == ERRAND_DONE) return e->ops->push(L, e);
  return task_wait_in(L, vm_of(L)->current, &e->waiter, INFINITY, index, done);
}

int errand_push_busy(lua_State *L, const char *what) {
  counter_add(&vm_of(L)->service->counters.work_busy_total, 1);
  return push_failure_code(L, lua_pushfstring(L, "%s: too much waits for a thread already", what), "busy");
}

int errand_wait(lua_State *L, struct task *t, int index, enum work_kind kind, const char *what) {
  struct service *s = t->vm->service;
  struct errand *e = errand_in(lua_touserdata(L, index));
  e->work.run = run;
  job_begin(&e->work.job, s->inbox, on_done, on_home);
  if (!pool_submit(&s->pools[kind], &e->work)) return errand_push_busy(L, what);
  counter_add(&s->counters.work_total, 1);
  e->state = ERRAND_UNDER_WAY;
  return task_wait_in(L, t, &e->waiter, INFINITY, index, done);
}
