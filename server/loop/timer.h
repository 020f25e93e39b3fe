// SPDX-License-Identifier: MIT
// Timers by deadline in one heap per loop. Embedded in what they time; nothing here reads a clock.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
  void (*on_fire)(struct timer *t); // the timer is no longer armed when this runs; it may arm or free it
  double deadline;                  // seconds of the loop's clock; of the last arming
  uint32_t id;                      // while armed, from 1; 0: not armed
};

enum { TIMER_ROWS = 16 };

struct timer_heap {
  struct timer_slot *slots;    // the heap itself
  struct timer_entry *entries; // by id: the timer, and where it is
  size_t count, cap;           // of timers that are armed, and that entries have room for
  size_t slot_count, slot_cap;
  uint32_t free_id;
  uint32_t last[TIMER_ROWS]; // the id at each row's end; 0: it is empty
  uint64_t armed_ever;       // how many times any has been; specs set it
  double running;            // the time of the run that goes on; 0: none does
  double ran;                // of the last run
};

// Frees the heap's memory; whatever is still armed is forgotten.
void timer_heap_deinit(struct timer_heap *h);

// Arms the timer for `deadline`, also where it is armed already. Equal deadlines fire in the order of arming;
// during a run those that are over count as the run's own time.
void timer_arm(struct timer_heap *h, struct timer *t, double deadline);

// Disarms it; harmless where it is not armed.
void timer_disarm(struct timer_heap *h, struct timer *t);

// Fires all whose deadline is at or before `now`, earliest first; one that is armed meanwhile for a time
// already past fires at the next run. Returns how many fired.
size_t timer_run(struct timer_heap *h, double now);

// The earliest deadline; INFINITY where no timer is armed.
double timer_next(const struct timer_heap *h);

// The one with the earliest deadline, borrowed; NULL where no timer is armed.
struct timer *timer_first(const struct timer_heap *h);

static inline bool timer_is_armed(const struct timer *t) { return t->id != 0; }
