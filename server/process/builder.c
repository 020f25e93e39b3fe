// SPDX-License-Identifier: MIT
// All states of a generation are loaded here one after the other, so the first that fails is all that is
// lost. The thread has a stack like a worker's, and its own watchdog.
#include "process/builder.h"
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include "base/lock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "script/app.h"
#include "script/watchdog.h"

struct builder {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct loop loop; // without poll: a clock
  const struct settings *settings;
  struct build *next; // behind the lock, as are these
  struct list spent;  // states to free
  bool ends;
};

static struct vm *new_vm(struct builder *builder, const struct build *b, size_t worker, char **error) {
  struct vm_config config = {.service = b->services[worker],
                             .loop = &builder->loop,
                             .settings = b->settings,
                             .worker = (int)worker,
                             .generation = b->generation};
  return app_new(&config, error);
}

static struct vm *load_stand_in(struct builder *builder, const struct build *b, size_t worker) {
  char *error = NULL;
  struct vm *vm = new_vm(builder, b, worker, &error);
  if (vm) app_load_stand_in(vm, b->error), watchdog_forget(vm);
  free(error);
  return vm;
}

static struct vm *load(struct builder *builder, struct build *b, size_t worker) {
  struct vm *vm = new_vm(builder, b, worker, &b->error);
  if (vm && app_load(vm, b->app, &b->error) < 0) app_free(vm), vm = NULL;
  if (vm) watchdog_forget(vm);
  return vm;
}

// All of the application's states, or none and the reason in b->error.
static void load_all(struct builder *builder, struct build *b) {
  size_t loaded = 0;
  for (; loaded < b->count; loaded++) {
    builder->loop.now = clock_now(clock_system());
    if (!(b->vms[loaded] = load(builder, b, loaded))) break;
  }
  for (size_t i = 0; loaded < b->count && i < loaded; i++) app_free(b->vms[i]), b->vms[i] = NULL;
}

static void build(struct builder *builder, struct build *b) {
  double began = clock_now(clock_system());
  if (!b->error) load_all(builder, b);
  for (size_t i = 0; b->error && b->shows_error && i < b->count; i++)
    b->vms[i] = load_stand_in(builder, b, i);
  // They are numbered from 1, and the library adds one for pages that reload themselves.
  if (!b->error) b->routes = b->vms[0]->route_count - 1 - b->vms[0]->settings->dev.inject;
  b->seconds = clock_now(clock_system()) - began;
  job_finish(&b->job);
}

static void *builder_main(void *arg) {
  struct builder *builder = arg;
  watchdog_start(builder->settings);
  lock_take(&builder->lock);
  for (;;) {
    struct build *b = builder->next;
    struct list *spent = list_shift(&builder->spent);
    if (!b && !spent && builder->ends) break;
    builder->next = NULL;
    if (!b && !spent) {
      pthread_cond_wait(&builder->changed, &builder->lock);
      continue;
    }
    lock_release(&builder->lock);
    builder->loop.now = clock_now(clock_system());
    if (spent) app_free(container_of(spent, struct vm, link));
    if (b) build(builder, b);
    lock_take(&builder->lock);
  }
  lock_release(&builder->lock);
  watchdog_stop();
  return NULL;
}

struct builder *builder_new(const struct settings *settings) {
  struct builder *builder = xcalloc(1, sizeof *builder);
  builder->settings = settings;
  loop_init(&builder->loop, clock_system(), false);
  list_init(&builder->spent);
  lock_init(&builder->lock);
  pthread_cond_init(&builder->changed, NULL);
  if (thread_start(&builder->thread, builder_main, builder) == 0) return builder;
  free(builder);
  return NULL;
}

void builder_start(struct builder *builder, struct build *b) {
  lock_take(&builder->lock);
  builder->next = b;
  pthread_cond_signal(&builder->changed);
  lock_release(&builder->lock);
}

void builder_close(struct builder *builder, struct vm *vm) {
  lock_take(&builder->lock);
  list_append(&builder->spent, &vm->link);
  pthread_cond_signal(&builder->changed);
  lock_release(&builder->lock);
}

struct loop *builder_loop(struct builder *builder) {
  return &builder->loop;
}

bool builder_free(struct builder *builder, double seconds) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += (time_t)seconds;
  lock_take(&builder->lock);
  builder->ends = true;
  pthread_cond_signal(&builder->changed);
  lock_release(&builder->lock);
  if (pthread_timedjoin_np(builder->thread, NULL, &until) != 0) return false;
  loop_deinit(&builder->loop);
  lock_deinit(&builder->lock);
  pthread_cond_destroy(&builder->changed);
  free(builder);
  return true;
}
