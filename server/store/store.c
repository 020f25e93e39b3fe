// SPDX-License-Identifier: MIT
// A request is held by who asks, for as long as that waits, and by its answer, until that has come home.
// Either may be first: an answer that comes too late finds nobody in the list, and is freed.
#include "store/store.h"
#include <stdlib.h>
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"

static const double REFUSED_SECONDS = 5;

void store_request_unref(struct store_request *r) {
  if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1) return;
  for (size_t i = 0; i < r->count; i++) event_unref(r->events[i]);
  free(r->events);
  buf_deinit(&r->members);
  channel_unref(r->channel);
  free(r);
}

static void free_answer(struct job *j) { store_request_unref(container_of(j, struct store_request, job)); }

static size_t texts_length(const struct sse_fields *f) {
  return f ? f->comment.len + f->event.len + f->data.len + f->trace.len : 0;
}

static void copy_text(struct span *text, char **to) {
  if (!text->bytes) return;
  if (text->len) memcpy(*to, text->bytes, text->len);
  text->bytes = *to;
  *to += text->len;
}

static struct store_request *request_new(struct channel *c, enum store_what what,
                                         const struct sse_fields *fields, uint64_t key, struct inbox *home,
                                         void (*on_done)(struct job *j), struct span member,
                                         struct span meta) {
  size_t len = sizeof(struct store_request) + texts_length(fields) + member.len + meta.len + 1;
  struct store_request *r = xmalloc(len);
  char *texts = r->texts;
  *r = (struct store_request){.channel = channel_ref(c),
                              .what = what,
                              .fields = fields ? *fields : SSE_NO_FIELDS,
                              .key = key,
                              .member = member,
                              .meta = meta,
                              .has_event = fields != NULL,
                              .len = len};
  r->fields.id = (struct span){0};
  copy_text(&r->fields.comment, &texts);
  copy_text(&r->fields.event, &texts);
  copy_text(&r->fields.data, &texts);
  copy_text(&r->fields.trace, &texts);
  copy_text(&r->member, &texts);
  copy_text(&r->meta, &texts);
  atomic_init(&r->refs, 2);
  list_init(&r->waiters);
  job_begin(&r->job, home, on_done, free_answer);
  return r;
}

struct store_request *store_request_new(struct channel *c, enum store_what what,
                                        const struct sse_fields *fields, uint64_t key, struct inbox *home,
                                        void (*on_done)(struct job *j)) {
  return request_new(c, what, fields, key, home, on_done, (struct span){0}, (struct span){0});
}

void store_ask(struct store_request *r) {
  struct store *s = r->channel->store;
  s->ops->take(s, r);
}

void store_flush(struct store *s) {
  if (s && s->ops->flush) s->ops->flush(s);
}

void store_tell(struct store *s, struct span message) {
  if (s->ops->tell) s->ops->tell(s, message);
  else if (s->listener) s->listener->on_told(s->listener, message);
}

static void arrive_nowhere(struct store_request *r) {
  r->job.on_done(&r->job);
  store_request_unref(r);
}

void store_answer(struct store_request *r, enum store_answer answer) {
  r->answer = answer;
  struct store_counters *counters = &r->channel->store->counters;
  if (answer == STORE_UNAVAILABLE) atomic_store(&counters->refused_at, clock_now(r->channel->store->clock));
  atomic_store(&counters->is_unavailable, answer == STORE_UNAVAILABLE);
  if (r->job.home) job_finish(&r->job);
  else arrive_nowhere(r);
}

// Who is asked nothing since it was unavailable cannot show that it is not any more.
bool store_is_available(const struct store *s) {
  if (atomic_load(&s->counters.is_down)) return false;
  return !atomic_load(&s->counters.is_unavailable) ||
         clock_now(s->clock) > atomic_load(&s->counters.refused_at) + REFUSED_SECONDS;
}

void store_unavailable(struct store_request *r, const char *why) {
  atomic_fetch_add(&r->channel->store->counters.refused_total, 1);
  r->why = why;
  store_answer(r, STORE_UNAVAILABLE);
}

static void log_failure(struct job *j) {
  const struct store_request *r = container_of(j, struct store_request, job);
  static const char *const what[] = {"opening", "publishing", "finishing", "reading", "removing", "members"};
  if (r->answer != STORE_OK)
    log_message(LOG_WARN, "channel %s: %s it has failed where nothing could wait for that: %s",
                r->channel->name, what[r->what], r->answer == STORE_ENDED ? "finished" : "unavailable");
}

static void hand_over(struct store_request *r) {
  store_ask(r);
  store_request_unref(r);
}

void store_hand_over(struct channel *c, enum store_what what, const struct sse_fields *fields, uint64_t key) {
  hand_over(store_request_new(c, what, fields, key, NULL, log_failure));
}

static void hand_over_member(struct channel *c, struct span id, struct span meta,
                             const struct sse_fields *fields, uint64_t key, bool leaves) {
  struct store_request *r = request_new(c, STORE_APPEND, fields, key, NULL, log_failure, id, meta);
  r->member_leaves = leaves;
  hand_over(r);
}

// The store takes requests in the order in which the lock is had, so that events tell in order who came and
// went.
void store_join(struct channel *c, struct span id, struct span meta, const struct sse_fields *fields,
                uint64_t key) {
  lock_take(&c->lock);
  if (members_join(&c->members, id, meta)) hand_over_member(c, id, meta, fields, key, false);
  lock_release(&c->lock);
}

void store_leave(struct channel *c, struct span id, const struct sse_fields *fields, uint64_t key) {
  lock_take(&c->lock);
  if (members_leave(&c->members, id)) hand_over_member(c, id, (struct span){0}, fields, key, true);
  lock_release(&c->lock);
}
