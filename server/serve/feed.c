// SPDX-License-Identifier: MIT
// One event for 5,000 streams costs each of them a reference in its queue. What a slow client may leave
// waiting is bounded by the channel's `queue`; before that is applied, whatever its socket takes is written.
#include "serve/feed.h"
#include <stdlib.h>
#include "base/mem.h"
#include "serve/stream.h"

static struct feed *of(struct subscriber *s) { return container_of(s, struct feed, subscriber); }

static void tell_reader(struct feed *f) {
  if (f->on_news) f->on_news(f);
}

static struct event **slot(const struct feed *f, size_t i) {
  return &f->queue[(f->first + i) & (f->cap - 1)];
}

static void grow(struct feed *f) {
  size_t cap = f->cap ? f->cap * 2 : 4;
  struct event **queue = xmalloc(cap * sizeof *queue);
  for (size_t i = 0; i < f->count; i++) queue[i] = *slot(f, i);
  free(f->queue);
  f->queue = queue, f->cap = cap, f->first = 0;
}

static void push(struct feed *f, struct event *e) {
  if (f->count == f->cap) grow(f);
  *slot(f, f->count++) = e;
}

struct event *feed_peek(const struct feed *f) {
  return f->count ? *slot(f, 0) : NULL;
}

struct event *feed_take(struct feed *f) {
  struct event *e = feed_peek(f);
  if (!e) return NULL;
  f->first = (f->first + 1) & (f->cap - 1);
  f->count--;
  if (f->replayed) f->replayed--;
  return e;
}

// Takes the event with this one's key out of the queue; the new one then goes to the end, so that ids only
// rise.
static bool conflate_queued(struct feed *f, const struct event *e) {
  for (size_t i = f->count; i-- > 0;) {
    if (!(*slot(f, i))->seq || (*slot(f, i))->key != e->key) continue;
    event_unref(*slot(f, i));
    for (f->count--; i < f->count; i++) *slot(f, i) = *slot(f, i + 1);
    f->replayed = MIN(f->replayed, f->count);
    return true;
  }
  return false;
}

static void lose(struct feed *f) {
  f->lost = true;
  channel_unsubscribe(&f->subscriber);
  tell_reader(f);
}

static void count_dropped(struct feed *f) { counter_add(&f->service->counters.dropped_total, 1); }

static bool queue_event(struct feed *f, struct event *e) {
  bool conflated = f->on_full == ON_FULL_CONFLATE && conflate_queued(f, e);
  if (!conflated && f->count >= f->queue_max + f->replayed) {
    if (f->on_full == ON_FULL_DISCONNECT) {
      lose(f);
      return false;
    }
    event_unref(feed_take(f));
    conflated = true;
  }
  if (conflated) count_dropped(f);
  push(f, event_ref(e));
  tell_reader(f);
  return true;
}

// Room in a stream whose queue is full: by writing, else by the policy. False where the stream is gone for
// it.
static bool make_room(struct feed *f) {
  struct stream *s = f->stream;
  if (!s->blocked && !stream_flush(s)) return false;
  if (s->queue_count < f->queue_max + f->replayed) return true;
  if (f->on_full == ON_FULL_DISCONNECT) {
    stream_give_up(s);
    return false;
  }
  if (stream_drop_oldest(s)) count_dropped(f);
  return true;
}

static bool on_event(struct subscriber *sub, struct event *e) {
  struct feed *f = of(sub);
  struct stream *s = f->stream;
  if (!s) return queue_event(f, e);
  if (!s->queue_count) f->replayed = 0;
  if (f->on_full == ON_FULL_CONFLATE && s->blocked && stream_conflate(s, e)) count_dropped(f);
  if (s->queue_count >= f->queue_max + f->replayed && !make_room(f)) return false;
  stream_send(s, event_ref(e));
  return true;
}

static void on_finish(struct subscriber *sub) {
  struct feed *f = of(sub);
  f->finished = true;
  if (f->stream) stream_end(f->stream, REASON_FINISHED, false);
  else tell_reader(f);
}

static void on_lost(struct subscriber *sub) {
  struct feed *f = of(sub);
  if (f->stream) stream_give_up(f->stream);
  else lose(f);
}

static const struct subscriber_ops subscriber_ops = {
    .on_event = on_event, .on_finish = on_finish, .on_lost = on_lost};

static struct event *reset_event(void) {
  struct sse_fields f = SSE_NO_FIELDS;
  f.event = SPAN("reset"), f.data = SPAN("events between your last id and these are gone");
  return sse_encode(&f, sse_length(&f));
}

struct feed *feed_new(struct service *service, struct channel *c, struct span after, long last) {
  struct feed *f = xcalloc(1, sizeof *f);
  struct replay r;
  f->service = service, f->subscriber.ops = &subscriber_ops;
  list_init(&f->readers);
  list_init(&f->held);
  f->queue_max = c->options.queue, f->on_full = c->options.on_full;
  channel_subscribe(c, service->inbox, &f->subscriber, after, last, service->loop->now, &r);
  if (r.reset) push(f, reset_event());
  for (size_t i = 0; i < r.count; i++) push(f, r.events[i]);
  free(r.events);
  f->replayed = f->count, f->finished = r.finished;
  return f;
}

void feed_free(struct feed *f) {
  if (!f) return;
  list_remove(&f->held);
  channel_unsubscribe(&f->subscriber);
  for (struct event *e; (e = feed_take(f));) event_unref(e);
  free(f->queue);
  free(f);
}

void feed_attach(struct feed *f, struct stream *s) {
  list_remove(&f->held);
  f->on_news = NULL;
  f->stream = s, s->feed = f;
  size_t replayed = f->replayed + s->queue_count; // the head is not the channel's either
  for (struct event *e; (e = feed_take(f));) stream_send(s, e);
  f->replayed = replayed;
  free(f->queue);
  f->queue = NULL, f->cap = f->first = 0;
  if (f->finished) stream_end(s, REASON_FINISHED, false);
}

bool feed_is_over(const struct feed *f) { return f->finished && !f->count; }
