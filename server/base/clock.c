// SPDX-License-Identifier: MIT
// Monotonic and wall time behind one small vtable, so that a day of timeouts can pass in a spec at once.
#include "base/clock.h"
#include <time.h>
#include "base/util.h"

static double read_clock(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double system_now(const struct clock *c) {
  (void)c;
  return read_clock(CLOCK_MONOTONIC);
}

static double system_coarse(const struct clock *c) {
  (void)c;
  return read_clock(CLOCK_MONOTONIC_COARSE);
}

static double system_wall(const struct clock *c) {
  (void)c;
  return read_clock(CLOCK_REALTIME);
}

static const struct clock_ops system_ops = {.now = system_now, .coarse = system_coarse, .wall = system_wall};
static const struct clock system_clock = {.ops = &system_ops};

const struct clock *clock_system(void) { return &system_clock; }

static double manual_now(const struct clock *c) { return container_of(c, struct manual_clock, clock)->now; }

static double manual_wall(const struct clock *c) {
  const struct manual_clock *m = container_of(c, struct manual_clock, clock);
  return m->epoch + m->now;
}

static const struct clock_ops manual_ops = {.now = manual_now, .coarse = manual_now, .wall = manual_wall};

void manual_clock_init(struct manual_clock *m, double epoch) {
  *m = (struct manual_clock){.clock = {.ops = &manual_ops}, .epoch = epoch};
}
