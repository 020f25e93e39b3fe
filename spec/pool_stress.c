// SPDX-License-Identifier: MIT
// Two pools whose work begins, is left and comes home while threads start and end, for ThreadSanitizer; says
// nothing where all is well. In the end one of them is closed while work waits and runs.
#include <assert.h>
#include <stdlib.h>
#include "base/mem.h"
#include "loop/pool.h"

enum { POOLS = 2, AT_ONCE = 24, WORKS = 100000 };

struct sum {
  struct work work;
  struct list link; // of those that somebody waits for
  unsigned a, b, result;
};

static struct loop loop;
static struct inbox home;
static struct pool pools[POOLS];
static struct list waiting;
static unsigned seed = 1;
static size_t begun, refused, done, left, freed;
static bool closes;

static void begin_next(void);

static void run(struct work *w) {
  struct sum *s = container_of(w, struct sum, work);
  s->result = s->a + s->b;
}

static void on_done(struct job *j) {
  struct sum *s = container_of(j, struct sum, work.job);
  assert(s->result == s->a + s->b);
  list_remove(&s->link);
  done++;
}

static void free_sum(struct job *j) {
  struct sum *s = container_of(j, struct sum, work.job);
  list_remove(&s->link);
  free(s);
  freed++;
  if (freed == WORKS) loop_stop(&loop);
  else if (!closes) begin_next();
}

// The oldest, which may wait, run, or be on its way home.
static void leave_one(void) {
  if (list_empty(&waiting) || rand_r(&seed) % 3) return;
  pool_abandon(&container_of(list_shift(&waiting), struct sum, link)->work);
  left++;
}

// One is always taken: the works under way are as many as two pools can have, and one frees its place before
// another begins.
static void begin_next(void) {
  if (begun == WORKS) return;
  struct sum *s = xcalloc(1, sizeof *s);
  s->a = (unsigned)begun++, s->b = (unsigned)rand_r(&seed);
  s->work.run = run;
  list_init(&s->link);
  list_append(&waiting, &s->link);
  job_begin(&s->work.job, &home, on_done, free_sum);
  for (size_t i = begun; !pool_submit(&pools[i % POOLS], &s->work); i++) refused++;
  leave_one();
}

int main(void) {
  list_init(&waiting);
  if (loop_init(&loop, clock_system(), true) < 0) abort();
  inbox_init(&home, &loop);
  // The second one's threads end as often as they find nothing to do.
  pool_init(&pools[0], &home, (struct pool_limits){.threads = 3, .queued = AT_ONCE - 16, .idle = 1});
  pool_init(&pools[1], &home, (struct pool_limits){.threads = 2, .queued = AT_ONCE - 11, .idle = 0});
  for (int i = 0; i < AT_ONCE; i++) begin_next();
  loop_run(&loop);
  assert(begun == WORKS && freed == WORKS && done + left == WORKS && done && left && refused);
  assert(list_empty(&waiting));
  begun = freed = done = left = 0, closes = true;
  for (int i = 0; i < AT_ONCE / 2; i++) begin_next();
  for (int i = 0; i < POOLS; i++) pool_deinit(&pools[i]);
  inbox_deinit(&home);
  loop_deinit(&loop);
  assert(freed == AT_ONCE / 2 && list_empty(&waiting));
  return 0;
}
