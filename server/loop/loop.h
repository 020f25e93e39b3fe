// SPDX-License-Identifier: MIT
// One event loop: libev for descriptors, our timers, and what runs once per turn before the loop sleeps.
// Belongs to one thread. Under a manual clock it has no libev loop: loop_turn is then called by hand.
#pragma once
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/clock.h"
#include "base/list.h"
#include "loop/timer.h"

struct batch;
struct ev_loop;
struct poll;

enum { LOOP_SCRATCH_LEN = 64 << 10, LOOP_TOLD_MAX = 500, LOOP_TOLD_FEW = 32 };

// Told of each turn that took longer than so many seconds, at its end.
struct turn_limit {
  double seconds;
  void (*on_exceeded)(struct turn_limit *limit, double took);
};

struct loop {
  struct ev_loop *ev;  // for the files of loop/ that include ev.h; NULL under a manual clock
  struct poll *poll;   // with what wakes it and puts it to sleep
  struct batch *batch; // that the sends of a turn are collected in; NULL: each is made at once
  const struct clock *clock;
  double now;                    // of this turn, seconds of the clock; loop_time moves it on
  double began;                  // when this turn did
  struct turn_limit *turn_limit; // NULL: nobody asks
  char *scratch; // LOOP_SCRATCH_LEN bytes for what does not outlast a call, such as what a socket reads
  struct timer_heap timers;
  struct list hooks, *next_hook; // next_hook: of the turn that is running
  unsigned told;                 // watches in this turn
  unsigned told_max;             // of them that are told; set by who has something more urgent
  uint8_t round;                 // in which each watch is told once before any is told again, while ...
  bool is_crowded;               // ... more are ready than a turn tells
  bool passes_over;              // so it is in this turn
  atomic_ulong turn;             // counts falling asleep and waking: odd while awake; any thread may read it
};

// Something to do once per turn. Hooks run in the order in which they were added.
struct loop_hook {
  struct list link;
  bool (*run)(struct loop_hook *h);      // true: there is more, do not sleep
  bool (*is_ready)(struct loop_hook *h); // asked again once all hooks have run, where it is set
};

// Once in a process, before any loop: what libev cannot go on without ends the process with a message of
// ours.
void loop_prepare_process(void);

// Makes the loop ready; `with_poll` false leaves libev out. 0, or -1 where the kernel gives no epoll, no
// descriptor to wake it by, or does not watch that: loop_deinit is harmless then.
int loop_init(struct loop *l, const struct clock *clock, bool with_poll);
void loop_deinit(struct loop *l);

// Has the loop collect sends in a batch from now on, on its own thread; NULL, or why it cannot, static.
const char *loop_open_batch(struct loop *l);

// The same for transports in memory.
void loop_open_batch_of_memory(struct loop *l);

// The version of the library below it, static.
const char *loop_library_version(void);

// Runs until loop_stop is called (on its own thread).
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

// Has a turn come soon, as one that sleeps does not know of what another thread has left for it. Any thread.
void loop_wake(struct loop *l);

// One turn, and what the descriptors and other threads have for the loop within so many seconds of the
// machine's clock, whatever its own clock shows; less where something comes. For specs.
void loop_poll(struct loop *l, double seconds);

// Whether it knows of descriptors at all.
static inline bool loop_polls(const struct loop *l) { return l->ev != NULL; }

// One turn without polling: reads the clock, fires what is due, runs the hooks. True: there is more to do.
bool loop_turn(struct loop *l);

// Whether any hook has something for the next turn.
bool loop_is_ready(const struct loop *l);

// The number of the turn that runs; 0 while the loop sleeps. Any thread.
static inline unsigned long loop_running_turn(struct loop *l) {
  unsigned long turn = atomic_load_explicit(&l->turn, memory_order_relaxed);
  return turn & 1 ? turn : 0;
}

// The time now. It stands through a turn, but for what has held it up: past a tick of the kernel's it moves
// on. So a look costs a fifth of what the exact clock does, and what blocks for less than some ms goes
// unnoticed. The loop's thread.
static inline double loop_time(struct loop *l) {
  if (clock_coarse(l->clock) > l->now) l->now = clock_now(l->clock);
  return l->now;
}

void loop_hook_add(struct loop *l, struct loop_hook *h);

// Takes it out; a hook may do that to itself and to others.
void loop_hook_remove(struct loop *l, struct loop_hook *h);

static inline void loop_arm(struct loop *l, struct timer *t, double deadline) {
  timer_arm(&l->timers, t, deadline);
}
// Has it fire at `deadline` at the latest, for who looks then what is due; INFINITY asks for nothing.
static inline void loop_arm_by(struct loop *l, struct timer *t, double deadline) {
  bool is_soon_enough = timer_is_armed(t) && t->deadline <= deadline;
  if (deadline < INFINITY && !is_soon_enough) timer_arm(&l->timers, t, deadline);
}
static inline void loop_disarm(struct loop *l, struct timer *t) {
  if (timer_is_armed(t)) timer_disarm(&l->timers, t);
}
