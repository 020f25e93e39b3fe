// SPDX-License-Identifier: MIT
// Whoever comes last frees it: who has asked, or the last answer when it comes home.
#include "serve/survey.h"
#include <stdlib.h>
#include "base/lock.h"
#include "base/mem.h"
#include "serve/service.h"

static void survey_free(struct survey *s) {
  for (size_t i = 0; i < s->count; i++) buf_deinit(&s->answers[i].out);
  free((void *)(uintptr_t)s->about.bytes);
  free(s);
}

static void on_home(struct job *j) {
  struct survey *s = container_of(j, struct survey, job);
  s->is_over = true;
  if (s->is_left) survey_free(s);
}

// One answer more is there, or all have been asked.
static void survey_count(struct survey *s) {
  if (atomic_fetch_sub(&s->unanswered, 1) == 1) job_finish(&s->job);
}

static void deliver(struct message *m) {
  struct survey_answer *a = container_of(m, struct survey_answer, message);
  struct survey *s = a->survey;
  s->ask(a->service, s->about, &a->out);
  atomic_store_explicit(&a->is_there, true, memory_order_release);
  survey_count(s);
}

// With the metrics' lock held, which keeps the workers where they are.
static struct survey *survey_new(const struct list *workers) {
  size_t count = 0;
  list_each (node, workers) count++;
  struct survey *s = xcalloc(1, sizeof *s + count * sizeof *s->answers);
  s->count = count;
  atomic_init(&s->unanswered, count + 1);
  return s;
}

static void post(struct survey *s, struct survey_answer *a, struct service *to) {
  a->message.deliver = deliver;
  a->survey = s, a->service = to;
  inbox_post(to->inbox, &a->message);
}

struct survey *survey_begin(struct service *asker, survey_fn *ask, struct span about,
                            void (*on_done)(struct job *j)) {
  struct metrics *m = &service_subject(asker)->metrics;
  lock_take(&m->lock);
  struct survey *s = survey_new(&m->workers);
  s->ask = ask, s->about = (struct span){xmemdup(about.bytes, about.len), about.len};
  job_begin(&s->job, asker->inbox, on_done, on_home);
  size_t i = 0;
  list_each (node, &m->workers) post(s, &s->answers[i++], container_of(node, struct service, counted));
  lock_release(&m->lock);
  survey_count(s);
  return s;
}

void survey_leave(struct survey *s) {
  s->is_left = true;
  if (s->is_over) survey_free(s);
  else job_abandon(&s->job);
}
