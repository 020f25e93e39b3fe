// SPDX-License-Identifier: MIT
// Time as an object: the machine's in the server, a number that a spec moves under test.
#pragma once

struct clock;

struct clock_ops {
  double (*now)(const struct clock *c);    // monotonic seconds
  double (*coarse)(const struct clock *c); // the same as of the kernel's last tick: some ms behind
  double (*wall)(const struct clock *c);   // seconds since 1970-01-01T00:00:00Z
};

struct clock {
  const struct clock_ops *ops;
};

struct manual_clock {
  struct clock clock;
  double now, epoch; // wall time is epoch + now
};

// The machine's clock; static. Any thread.
const struct clock *clock_system(void);

// A clock that stands at `now == 0`, wall time `epoch`, until somebody assigns to `now`.
void manual_clock_init(struct manual_clock *m, double epoch);

static inline double clock_now(const struct clock *c) { return c->ops->now(c); }
static inline double clock_coarse(const struct clock *c) { return c->ops->coarse(c); }
static inline double clock_wall(const struct clock *c) { return c->ops->wall(c); }
