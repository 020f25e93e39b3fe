// SPDX-License-Identifier: MIT
// Jobs that many threads finish while the thread they belong to begins and leaves them, for ThreadSanitizer;
// says nothing where all is well. Nothing but the jobs wakes the loop. `make tsan` builds and runs it.
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include "base/mem.h"
#include "loop/job.h"

enum { THREADS = 4, AT_ONCE = 64, JOBS = 200000 };

struct sum {
  struct job job;
  struct list link; // of those that somebody waits for
  unsigned a, b, result;
};

static struct worker {
  pthread_t thread;
  struct loop loop;
  struct inbox inbox;
} workers[THREADS];
static struct loop home_loop;
static struct inbox home;
static struct list waiting;
static unsigned seed = 1;
static size_t begun, done, left, freed;

static void begin_next(void);

static void on_done(struct job *j) {
  struct sum *s = container_of(j, struct sum, job);
  assert(s->result == s->a + s->b);
  list_remove(&s->link);
  done++;
}

static void free_sum(struct job *j) {
  free(container_of(j, struct sum, job));
  freed++;
  if (freed == JOBS) loop_stop(&home_loop);
  else begin_next();
}

// Takes a job to its thread.
struct order {
  struct message message;
  struct worker *worker;
  struct sum *sum; // NULL: that was all
};

static void act(struct message *m) {
  struct order *o = container_of(m, struct order, message);
  struct sum *s = o->sum;
  if (!s) loop_stop(&o->worker->loop);
  else s->result = s->a + s->b, job_finish(&s->job);
  free(o);
}

static void order(struct worker *w, struct sum *s) {
  struct order *o = xcalloc(1, sizeof *o);
  *o = (struct order){.message = {.deliver = act}, .worker = w, .sum = s};
  list_init(&o->message.link);
  inbox_post(&w->inbox, &o->message);
}

// The oldest, which may be under way, finished, or on its way home.
static void leave_one(void) {
  if (list_empty(&waiting) || rand_r(&seed) % 3) return;
  job_abandon(&container_of(list_shift(&waiting), struct sum, link)->job);
  left++;
}

static void begin_next(void) {
  if (begun == JOBS) return;
  struct sum *s = xcalloc(1, sizeof *s);
  s->a = (unsigned)begun++, s->b = (unsigned)rand_r(&seed);
  list_init(&s->link);
  list_append(&waiting, &s->link);
  job_begin(&s->job, &home, on_done, free_sum);
  order(&workers[begun % THREADS], s);
  leave_one();
}

static void *worker_main(void *arg) {
  struct worker *w = arg;
  loop_run(&w->loop);
  return NULL;
}

static void start(struct worker *w) {
  if (loop_init(&w->loop, clock_system(), true) < 0) abort();
  inbox_init(&w->inbox, &w->loop);
  if (pthread_create(&w->thread, NULL, worker_main, w) != 0) abort();
}

static void end(struct worker *w) {
  order(w, NULL);
  pthread_join(w->thread, NULL);
  inbox_deinit(&w->inbox);
  loop_deinit(&w->loop);
}

int main(void) {
  list_init(&waiting);
  if (loop_init(&home_loop, clock_system(), true) < 0) abort();
  inbox_init(&home, &home_loop);
  for (int i = 0; i < THREADS; i++) start(&workers[i]);
  for (int i = 0; i < AT_ONCE; i++) begin_next();
  loop_run(&home_loop);
  for (int i = 0; i < THREADS; i++) end(&workers[i]);
  inbox_deinit(&home);
  loop_deinit(&home_loop);
  assert(begun == JOBS && freed == JOBS && done + left == JOBS && done && left && list_empty(&waiting));
  return 0;
}
