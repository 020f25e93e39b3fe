// SPDX-License-Identifier: MIT
// A call is held by who asks, for as long as that waits, and by its answer, until that has come home.
#include "store/store_call.h"
#include <stdlib.h>
#include "base/mem.h"

void store_call_unref(struct store_call *c) {
  if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
  words_deinit(&c->words);
  words_deinit(&c->answers);
  free(c);
}

static void free_answer(struct job *j) { store_call_unref(container_of(j, struct store_call, job)); }

struct store_call *store_call_new(struct store *s, const char *step, struct inbox *home,
                                  void (*on_done)(struct job *j)) {
  struct store_call *c = xcalloc(1, sizeof *c);
  c->store = s, c->step = step;
  atomic_init(&c->refs, 2);
  list_init(&c->waiters);
  job_begin(&c->job, home, on_done, free_answer);
  return c;
}

void store_call_ask(struct store_call *c) { c->store->ops->call(c->store, c); }

void store_call_answer(struct store_call *c, enum store_answer answer) {
  c->answer = answer;
  job_finish(&c->job);
}

void store_call_unavailable(struct store_call *c, const char *why) {
  atomic_fetch_add(&c->store->counters.refused_total, 1);
  c->why = why;
  store_call_answer(c, STORE_UNAVAILABLE);
}
