// SPDX-License-Identifier: MIT
// A new state starts beside the current one, which requests go to until the new one is known to be good.
// A state that requests no longer go to is kept until its last stream, task and request have ended; what it
// began by itself has shutdown.grace to end after them. What it streams without Lua does not hold it. How
// long streams of old code may go on is counted per generation, since they may outlive their state; beyond
// reload.generations the oldest end early, so that frequent reloads do not add up.
#include "script/generations.h"
#include <stdlib.h>
#include "base/mem.h"
#include "script/app.h"
#include "script/exchange.h"
#include "script/raise.h"
#include "script/task.h"
#include "script/vm.h"
#include "serve/connections.h"

// One that is no longer current, until its streams have been told to end.
struct aging {
  struct list link;
  struct generations *generations;
  unsigned number;
  struct timer timer;
};

static struct aging *aging_of(struct list *node) { return container_of(node, struct aging, link); }

static void forget_aging(struct aging *a) {
  loop_disarm(a->generations->service->loop, &a->timer);
  list_remove(&a->link);
  a->generations->aging_count--;
  free(a);
}

static void expire(struct aging *a) {
  connections_leave_generation(a->generations->service, a->number);
  forget_aging(a);
}

static void on_max_age(struct timer *t) { expire(container_of(t, struct aging, timer)); }

static void age(struct generations *g, unsigned number) {
  const struct settings *set = g->service->settings;
  struct aging *a = xcalloc(1, sizeof *a);
  *a = (struct aging){.generations = g, .number = number, .timer = {.on_fire = on_max_age}};
  list_init(&a->link);
  list_append(&g->aging, &a->link);
  loop_arm(g->service->loop, &a->timer, g->service->loop->now + set->reload.max_age);
  if (++g->aging_count > set->reload.generations) expire(aging_of(g->aging.next));
}

static void retire(struct generations *g, struct vm *vm) {
  app_retire(vm);
  exchange_let_go_all(vm);
  if (g->service->settings->dev.on) connections_leave_generation(g->service, vm->generation);
  else age(g, vm->generation);
}

static void hand_over(struct generations *g, struct vm *vm) {
  list_remove(&vm->link);
  app_detach(vm, g->spent_loop);
  g->on_spent(g, vm);
}

static void generations_tell(struct generations *g, char *error) {
  g->is_told = true;
  loop_disarm(g->service->loop, &g->patience);
  g->on_started(g, error);
}

static bool has_news(const struct generations *g) {
  return g->starting && !g->is_told && vm_has_started(g->starting);
}

static bool tell_and_hand_over(struct loop_hook *h) {
  struct generations *g = container_of(h, struct generations, hook);
  if (has_news(g)) {
    char *error = g->starting->start_error;
    g->starting->start_error = NULL;
    generations_tell(g, error);
  }
  list_each (node, &g->vms) {
    struct vm *vm = container_of(node, struct vm, link);
    if (vm_is_spent(vm)) hand_over(g, vm);
  }
  return false;
}

// Whether there is news, or a state that is spent; none of those that are not yet is forgotten while the loop
// sleeps.
static bool has_work(struct loop_hook *h) {
  struct generations *g = container_of(h, struct generations, hook);
  bool any = has_news(g);
  list_each (node, &g->vms) {
    struct vm *vm = container_of(node, struct vm, link);
    any |= vm_is_spent(vm);
    app_wind_up(vm);
  }
  return any;
}

// Where one of the on_start functions that run is, for its author.
static char *late_place(const struct vm *vm) {
  lua_Debug ar;
  list_each (node, &vm->tasks) {
    const struct task *t = container_of(node, struct task, all_link);
    if (t->is_starter && user_position(t->co, &ar)) return xasprintf("%s:%d: ", ar.short_src, ar.currentline);
  }
  return xstrdup("");
}

static void on_patience(struct timer *t) {
  struct generations *g = container_of(t, struct generations, patience);
  char *place = late_place(g->starting);
  vm_fail_start(g->starting, xasprintf("%san on_start function has not ended after %g s (timeouts.start)\n"
                                       "hint: sse.spawn(function() ... end) in it runs what goes on",
                                       place, g->service->settings->timeouts.start));
  free(place);
}

void generations_init(struct generations *g, struct service *service, struct loop *spent_loop,
                      void (*on_spent)(struct generations *g, struct vm *vm),
                      void (*on_started)(struct generations *g, char *error)) {
  *g = (struct generations){
      .service = service, .spent_loop = spent_loop, .on_spent = on_spent, .on_started = on_started};
  g->hook = (struct loop_hook){.run = tell_and_hand_over, .is_ready = has_work};
  g->patience = (struct timer){.on_fire = on_patience};
  service->generations = g;
  list_init(&g->vms);
  list_init(&g->aging);
  loop_hook_add(service->loop, &g->hook);
}

void generations_start(struct generations *g, struct vm *vm) {
  g->starting = vm, g->is_told = false;
  app_attach(vm);
  list_append(&g->vms, &vm->link);
  app_start(vm);
  loop_arm(g->service->loop, &g->patience, g->service->loop->now + g->service->settings->timeouts.start);
}

void generations_commit(struct generations *g) {
  struct vm *old = g->current, *vm = g->starting;
  if (!vm) return;
  loop_disarm(g->service->loop, &g->patience);
  g->current = vm, g->starting = NULL;
  atomic_store(&g->service->process->generation, vm->generation);
  if (old) retire(g, old);
  app_begin(vm);
}

void generations_abandon(struct generations *g) {
  struct vm *vm = g->starting;
  if (!vm) return;
  if (!g->is_told) generations_tell(g, NULL);
  g->starting = NULL;
  hand_over(g, vm);
}

void generations_begin(struct generations *g, struct stream *stream) { exchange_begin(g->current, stream); }

void generations_stop(struct generations *g) {
  if (g->current) app_stop(g->current);
}

bool generations_are_stopping(const struct generations *g) {
  list_each (node, &g->vms)
    if (container_of(node, struct vm, link)->listed_running) return true;
  return false;
}

void generations_deinit(struct generations *g) {
  loop_disarm(g->service->loop, &g->patience);
  while (!list_empty(&g->aging)) forget_aging(aging_of(g->aging.next));
  while (!list_empty(&g->vms)) hand_over(g, container_of(g->vms.next, struct vm, link));
  g->current = g->starting = NULL;
  loop_hook_remove(g->service->loop, &g->hook);
}
