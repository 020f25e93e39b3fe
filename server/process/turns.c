// SPDX-License-Identifier: MIT
// A worker in the same turn as at the look before is measured by the CPU time of its thread, so that neither
// a busy machine nor a process that was stopped for an hour is taken for a loop. Looks, not seconds, tell how
// long a turn has waited: after a stop there is one look, however long it was.
#include "process/turns.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/util.h"
#include "loop/loop.h"
#include "process/worker.h"
#include "serve/settings.h"

enum { LOOKS_PER_HANG = 2 };
static const double LOOK_MIN_SECONDS = 0.05;

struct turn {
  unsigned long number;
  double cpu;     // of the thread, when the turn was first seen
  unsigned looks; // at the same turn
};

// Later than the watchdog, which knows the script's line.
static void check_cpu(const struct turns *t, size_t worker, double used) {
  double hang = t->settings->limits.hang;
  if (used < hang * (1 + 1.0 / LOOKS_PER_HANG)) return;
  log_message(LOG_ERROR,
              "worker %zu: one turn of its loop has used %.1f s of CPU time and does not end (a loop in C): "
              "aborting; limits.hang says when",
              worker, used);
  log_stop();
  abort();
}

static void check_wait(const struct turns *t, size_t worker, const struct turn *seen, double used) {
  double hang = t->settings->limits.hang;
  if (seen->looks != LOOKS_PER_HANG + 1 || used >= hang / 2) return;
  log_message(
      LOG_WARN,
      "worker %zu: one turn of its loop goes on for more than %g s and uses no CPU time: it waits for "
      "a file, a lock or a program, and serves nobody meanwhile",
      worker, hang);
}

static void turns_look(const struct turns *t, size_t worker) {
  struct turn *seen = &t->seen[worker];
  double cpu;
  unsigned long number = worker_turn(t->workers[worker], &cpu);
  if (!number || number != seen->number) {
    *seen = (struct turn){.number = number, .cpu = cpu};
    return;
  }
  seen->looks++;
  check_cpu(t, worker, cpu - seen->cpu);
  check_wait(t, worker, seen, cpu - seen->cpu);
}

static void arm(struct turns *t) {
  loop_arm(t->loop, &t->timer,
           t->loop->now + MAX(t->settings->limits.hang / LOOKS_PER_HANG, LOOK_MIN_SECONDS));
}

static void on_timer(struct timer *timer) {
  struct turns *t = container_of(timer, struct turns, timer);
  for (size_t i = 0; i < t->count; i++) turns_look(t, i);
  arm(t);
}

void turns_watch(struct turns *t, struct loop *loop, const struct settings *settings, struct worker **workers,
                 size_t count) {
  *t = (struct turns){.timer = {.on_fire = on_timer},
                      .loop = loop,
                      .settings = settings,
                      .workers = workers,
                      .count = count,
                      .seen = xcalloc(count, sizeof *t->seen)};
  arm(t);
}

void turns_deinit(struct turns *t) {
  if (t->loop) loop_disarm(t->loop, &t->timer);
  free(t->seen);
}
