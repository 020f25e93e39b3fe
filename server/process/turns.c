// SPDX-License-Identifier: MIT
// A worker in the same turn as at the look before is measured by the CPU time of its thread, so that neither
// a busy machine nor a process that was stopped for an hour is taken for a loop. What lies between two looks
// counts for no more than the time between two timers: after a stop there is one look, however long it was.
// Looks are some per limits.turn, and none while all loops sleep: a worker that wakes asks to be watched.
// That they do is the time to give spare memory back, at most once in some seconds.
#include "process/turns.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/util.h"
#include "process/worker.h"
#include "serve/settings.h"

enum { LOOKS_PER_TURN = 4 };
static const double LOOK_MIN_SECONDS = 0.01, HANG_MARGIN = 1.5, SPARE_SECONDS = 5;

struct turn {
  unsigned long number;
  double cpu;    // of the thread, when the turn was first seen
  double waited; // since then
  bool is_noted, is_told;
};

static double interval(const struct turns *t) {
  return MAX(t->settings->limits.turn / LOOKS_PER_TURN, LOOK_MIN_SECONDS);
}

// Later than the watchdog, which knows the script's line.
static void check_cpu(const struct turns *t, size_t worker, double used) {
  if (used < t->settings->limits.hang * HANG_MARGIN) return;
  log_message(LOG_ERROR,
              "worker %zu: one turn of its loop has used %.1f s of CPU time and does not end (a loop in C): "
              "aborting; limits.hang says when",
              worker, used);
  log_stop();
  abort();
}

static void check_wait(const struct turns *t, size_t worker, struct turn *seen, double used) {
  double hang = t->settings->limits.hang;
  if (seen->is_told || seen->waited < hang * HANG_MARGIN || used >= hang / 2) return;
  seen->is_told = true;
  log_message(
      LOG_WARN,
      "worker %zu: one turn of its loop goes on for more than %g s and uses no CPU time: it waits for "
      "a file, a lock or a program, and serves nobody meanwhile",
      worker, hang);
}

// While it lasts: who measures the turn at its end no longer knows which line it was in.
static void check_length(const struct turns *t, size_t worker, struct turn *seen) {
  if (seen->is_noted || seen->waited + interval(t) < t->settings->limits.turn) return;
  seen->is_noted = true;
  worker_look(t->workers[worker]);
}

// True while the worker is at work.
static bool turns_look(const struct turns *t, size_t worker, double passed) {
  struct turn *seen = &t->seen[worker];
  double cpu;
  unsigned long number = worker_turn(t->workers[worker], &cpu);
  if (!number || number != seen->number) {
    *seen = (struct turn){.number = number, .cpu = cpu};
    return number;
  }
  seen->waited += passed;
  check_cpu(t, worker, cpu - seen->cpu);
  check_wait(t, worker, seen, cpu - seen->cpu);
  check_length(t, worker, seen);
  return true;
}

static void arm(struct turns *t) {
  t->looked_at = t->loop->now;
  loop_arm(t->loop, &t->timer, t->loop->now + interval(t));
}

// A worker that begins a turn just now sees that it is not watched, or its turn is seen here: but for the
// nanoseconds that a processor keeps a store to itself, in which a turn may go unseen, though not uncounted.
static bool may_leave(struct turns *t, size_t worker) {
  double cpu;
  worker_leave_unwatched(t->workers[worker]);
  return !worker_turn(t->workers[worker], &cpu);
}

// While no worker has a turn. What is freed meanwhile, as by the builder, is the next time's.
static void rest(struct turns *t) {
  if (timer_is_armed(&t->spare_timer)) return;
  if (t->loop->now >= t->spare_at) spare_give_back(&t->spare), t->spare_at = t->loop->now + SPARE_SECONDS;
  else loop_arm(t->loop, &t->spare_timer, t->spare_at);
}

static void on_spare(struct timer *timer) {
  struct turns *t = container_of(timer, struct turns, spare_timer);
  if (!timer_is_armed(&t->timer)) rest(t);
}

static void on_timer(struct timer *timer) {
  struct turns *t = container_of(timer, struct turns, timer);
  double passed = MIN(t->loop->now - t->looked_at, interval(t));
  bool any = false;
  for (size_t i = 0; i < t->count; i++) any |= turns_look(t, i, passed);
  for (size_t i = 0; !any && i < t->count; i++) any |= !may_leave(t, i);
  if (any) arm(t);
  else rest(t);
}

static bool resume_watch(struct loop_hook *h) {
  struct turns *t = container_of(h, struct turns, hook);
  bool any = timer_is_armed(&t->timer);
  for (size_t i = 0; !any && i < t->count; i++)
    if (worker_is_watched(t->workers[i])) any = true, arm(t);
  return false;
}

void turns_watch(struct turns *t, struct loop *loop, const struct settings *settings, struct worker **workers,
                 size_t count) {
  *t = (struct turns){.timer = {.on_fire = on_timer},
                      .spare_timer = {.on_fire = on_spare},
                      .spare_at = loop->now + SPARE_SECONDS,
                      .hook = {.run = resume_watch},
                      .loop = loop,
                      .settings = settings,
                      .workers = workers,
                      .count = count,
                      .seen = xcalloc(count, sizeof *t->seen)};
  loop_hook_add(loop, &t->hook);
  arm(t);
}

void turns_deinit(struct turns *t) {
  if (t->loop)
    loop_disarm(t->loop, &t->timer), loop_disarm(t->loop, &t->spare_timer),
        loop_hook_remove(t->loop, &t->hook);
  free(t->seen);
}
