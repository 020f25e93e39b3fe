// SPDX-License-Identifier: MIT
// One lock, and one condition for the threads: there is work, or the end. A thread is started where none of
// those that are there will be free for it. One that ends joins the one that ended before it, so that a
// single one is left to join, however many have come and gone. What the work has found is in the work; a pool
// knows none of it.
#include "loop/pool.h"
#include <errno.h>
#include <signal.h>
#include <time.h>
#include "base/lock.h"
#include "base/thread.h"

// Behind the lock: the work is done, or never will be.
static void finish(struct pool *p, struct work *w) {
  counter_add(&p->running, -1);
  job_finish(&w->job);
}

// Behind the lock.
static struct work *shift_work(struct pool *p) {
  struct list *node = list_shift(&p->queue);
  if (!node) return NULL;
  counter_add(&p->queued, -1), counter_add(&p->running, 1);
  return container_of(node, struct work, link);
}

// Behind the lock: waits for work. NULL: it is time for the thread to end.
static struct work *next_work(struct pool *p) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  double end = (double)until.tv_nsec / 1e9 + p->limits.idle;
  until.tv_sec += (time_t)end, until.tv_nsec = (long)((end - (double)(time_t)end) * 1e9);
  while (list_empty(&p->queue) && !p->ends &&
         pthread_cond_timedwait(&p->changed, &p->lock, &until) != ETIMEDOUT)
    continue;
  return shift_work(p);
}

static void *pool_main(void *arg) {
  struct pool *p = arg;
  lock_take(&p->lock);
  for (struct work *w; (w = next_work(p));) {
    lock_release(&p->lock);
    w->run(w);
    lock_take(&p->lock);
    finish(p, w);
  }
  pthread_t before = p->left;
  bool follows = p->has_left;
  p->left = pthread_self(), p->has_left = true;
  counter_add(&p->threads, -1);
  pthread_cond_broadcast(&p->changed);
  lock_release(&p->lock);
  if (follows) pthread_join(before, NULL);
  return NULL;
}

// Behind the lock. Signals are for threads with a loop, and for those that run tasks.
static bool start_thread(struct pool *p) {
  sigset_t all, before;
  pthread_t thread;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = thread_start(&thread, pool_main, p) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  counter_add(&p->threads, started);
  return started;
}

// Where there are no threads: what was there at the turn's beginning, so that work that makes work ends the
// turn all the same.
static bool run_queue(struct loop_hook *h) {
  struct pool *p = container_of(h, struct pool, hook);
  for (uint64_t n = p->queued; n; n--) {
    struct work *w = shift_work(p);
    if (!w) break;
    w->run(w);
    finish(p, w);
  }
  return false;
}

static bool has_queued(struct loop_hook *h) { return container_of(h, struct pool, hook)->queued > 0; }

void pool_init(struct pool *p, struct inbox *home, struct pool_limits limits) {
  pthread_condattr_t attributes;
  *p = (struct pool){.home = home,
                     .limits = limits,
                     .threads_max = limits.threads,
                     .hook = {.run = run_queue, .is_ready = has_queued}};
  list_init(&p->queue);
  list_init(&p->hook.link);
  lock_init(&p->lock);
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&p->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  if (!limits.threads) loop_hook_add(home->loop, &p->hook);
}

static void wait_for_threads(struct pool *p) {
  lock_take(&p->lock);
  p->ends = true;
  for (struct work *w; (w = shift_work(p));) job_abandon(&w->job), finish(p, w);
  pthread_cond_broadcast(&p->changed);
  while (p->threads) pthread_cond_wait(&p->changed, &p->lock);
  lock_release(&p->lock);
  if (p->has_left) pthread_join(p->left, NULL);
}

void pool_deinit(struct pool *p) {
  if (!p->home) return;
  wait_for_threads(p);
  loop_hook_remove(p->home->loop, &p->hook);
  lock_deinit(&p->lock);
  pthread_cond_destroy(&p->changed);
  p->home = NULL;
  counter_add(&p->threads_max, -(int64_t)p->threads_max);
}

// Behind the lock: whether a thread takes one more, or it may wait for one.
static bool has_room(struct pool *p) {
  if (p->queued + p->running >= p->limits.queued + p->limits.threads) return false;
  bool needs_thread = p->queued + p->running >= p->threads && p->threads < p->limits.threads;
  return !needs_thread || start_thread(p) || p->threads > 0;
}

bool pool_submit(struct pool *p, struct work *w) {
  if (!p->home) return false;
  lock_take(&p->lock);
  bool ok = has_room(p);
  if (ok) {
    w->pool = p;
    list_append(&p->queue, &w->link);
    counter_add(&p->queued, 1);
    pthread_cond_signal(&p->changed);
  }
  lock_release(&p->lock);
  return ok;
}

void pool_abandon(struct work *w) {
  struct pool *p = w->pool;
  lock_take(&p->lock);
  bool waits = !list_empty(&w->link);
  list_remove(&w->link);
  counter_add(&p->queued, -(int64_t)waits);
  lock_release(&p->lock);
  job_abandon(&w->job);
  if (waits) job_finish(&w->job);
}

unsigned pool_threads(struct pool *p) {
  lock_take(&p->lock);
  unsigned n = (unsigned)p->threads;
  lock_release(&p->lock);
  return n;
}
