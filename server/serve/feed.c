// SPDX-License-Identifier: MIT
// One event for 5,000 streams costs each of them a reference in its queue. What a slow client may leave
// waiting is bounded by the channel's `queue`; before that is applied, whatever its socket takes is written.
#include "serve/feed.h"
#include <stdlib.h>
#include "base/mem.h"
#include "store/store.h"

void feed_tell_reader(struct feed *f) {
  struct feed_reader *r = f->reader;
  f->reader = NULL;
  if (r) r->on_news(r);
}

static struct event **slot(const struct feed *f, size_t i) {
  return &f->queue[(f->first + i) & (f->cap - 1)];
}

static void feed_grow(struct feed *f) {
  uint32_t cap = f->cap ? f->cap * 2 : 4;
  struct event **queue = xmalloc(cap * sizeof *queue);
  for (size_t i = 0; i < f->count; i++) queue[i] = *slot(f, i);
  free(f->queue);
  f->queue = queue, f->cap = cap, f->first = 0;
}

static void feed_push(struct feed *f, struct event *e) {
  if (f->count == f->cap) feed_grow(f);
  *slot(f, f->count++) = e;
  f->queued_bytes += e->len;
}

struct event *feed_peek(const struct feed *f) {
  return f->count ? *slot(f, 0) : NULL;
}

static struct event *shift(struct feed *f) {
  struct event *e = feed_peek(f);
  if (!e) return NULL;
  f->first = (f->first + 1) & (f->cap - 1);
  f->count--;
  f->queued_bytes -= e->len;
  f->is_awaited = false;
  f->beside -= MIN(f->beside, 1u), f->bytes_beside -= MIN(f->bytes_beside, e->len);
  return e;
}

void feed_await(struct feed *f, struct feed_reader *reader) {
  f->reader = reader;
  f->is_awaited = true;
}

void feed_forgo_turn(struct feed *f) { f->is_awaited = false; }

static void feed_take_out(struct feed *f, size_t at) {
  f->queued_bytes -= (*slot(f, at))->len;
  event_unref(*slot(f, at));
  for (f->count--; at < f->count; at++) *slot(f, at) = *slot(f, at + 1);
  f->beside = MIN(f->beside, f->count), f->bytes_beside = MIN(f->bytes_beside, f->queued_bytes);
}

// Takes the event with this one's key out of the queue; the new one then goes to the end, so that ids only
// rise.
static bool conflate_queued(struct feed *f, const struct event *e) {
  for (size_t i = f->count; i-- > 0;) {
    if (!(*slot(f, i))->seq || (*slot(f, i))->key != e->key) continue;
    feed_take_out(f, i);
    return true;
  }
  return false;
}

static void lose(struct feed *f, enum feed_state state) {
  f->state = (uint8_t)state;
  channel_unsubscribe(&f->subscriber);
  feed_tell_reader(f);
}

static void count_dropped(struct feed *f) { counter_add(&f->service->counters.dropped_total, 1); }

void feed_set_queue(struct feed *f, size_t max) { f->queue_max = (uint32_t)MIN(max, (size_t)UINT32_MAX); }

// Whether an event is too many beside `count` of so many bytes.
static bool is_over(const struct feed *f, size_t count, size_t bytes, const struct event *e) {
  size_t bytes_max = f->service->settings->limits.subscriber;
  return count >= (size_t)f->queue_max + f->beside || (count && bytes + e->len > bytes_max + f->bytes_beside);
}

// A reader that had all when a burst began is given its turn before what comes counts.
static bool is_full(struct feed *f, const struct event *e) {
  if (!is_over(f, f->count, f->queued_bytes, e)) return false;
  if (!f->is_awaited || f->queued_bytes > f->service->settings->limits.inbox) return true;
  f->beside++, f->bytes_beside += e->len;
  return false;
}

// The bound stays as it is: were it less by what is dropped of the past, all of that would go for one event.
// False where there is only what stays, which tells of events that are gone.
static bool feed_drop_oldest(struct feed *f) {
  uint32_t beside = f->beside, at = 0;
  size_t bytes_beside = f->bytes_beside;
  while (at < f->count && !(*slot(f, at))->seq) at++;
  if (at == f->count) return false;
  if (at) feed_take_out(f, at);
  else event_unref(shift(f));
  f->beside = beside, f->bytes_beside = bytes_beside;
  count_dropped(f);
  return true;
}

static bool queue_event(struct feed *f, struct event *e) {
  bool conflated = f->on_full == ON_FULL_CONFLATE && conflate_queued(f, e);
  if (conflated) count_dropped(f);
  while (!conflated && is_full(f, e)) {
    if (f->on_full == ON_FULL_DISCONNECT) {
      lose(f, FEED_LOST);
      return false;
    }
    if (!feed_drop_oldest(f)) break;
  }
  feed_push(f, event_ref(e));
  feed_tell_reader(f);
  return true;
}

// What the transport has is out of reach: it counts where falling behind ends the stream, and does not stand
// in the way of what is newer.
static bool is_stream_full(const struct feed *f, const struct event *e) {
  const struct stream *s = f->stream;
  if (!is_over(f, s->queue.count, s->queue.bytes, e)) return false;
  return f->on_full == ON_FULL_DISCONNECT ||
         is_over(f, stream_waiting(s), s->queue.bytes - s->queue.in_flight, e);
}

// Room in a stream whose queue is full: by writing, else by the policy. False where the stream is gone for
// it.
static bool feed_make_room(struct feed *f, const struct event *e) {
  struct stream *s = f->stream;
  if (!s->blocked && !stream_flush(s)) return false;
  while (is_stream_full(f, e)) {
    if (f->on_full == ON_FULL_DISCONNECT) {
      stream_give_up(s);
      return false;
    }
    if (!stream_drop_oldest(s)) break;
    count_dropped(f);
  }
  return true;
}

static bool stream_event(struct feed *f, struct event *e) {
  struct stream *s = f->stream;
  if (!s->queue.count) f->beside = f->bytes_beside = 0;
  if (f->on_full == ON_FULL_CONFLATE && s->blocked && stream_conflate(s, e)) count_dropped(f);
  if (is_stream_full(f, e) && !feed_make_room(f, e)) return false;
  stream_send(s, event_ref(e));
  return true;
}

static bool on_event(struct subscriber *sub, struct event *e) {
  struct feed *f = feed_of(sub);
  return f->state == FEED_STREAMED ? stream_event(f, e) : queue_event(f, e);
}

static void on_finish(struct subscriber *sub) {
  struct feed *f = feed_of(sub);
  bool is_streamed = f->state == FEED_STREAMED;
  f->state = FEED_FINISHED;
  if (is_streamed) stream_end(f->stream, REASON_FINISHED, false);
  else feed_tell_reader(f);
}

static void on_lost(struct subscriber *sub) {
  struct feed *f = feed_of(sub);
  if (f->state == FEED_STREAMED) stream_give_up(f->stream);
  else lose(f, FEED_LOST);
}

static void on_broken(struct subscriber *sub) {
  struct feed *f = feed_of(sub);
  if (f->state == FEED_STREAMED) stream_break(f->stream);
  else lose(f, FEED_BROKEN);
}

static const struct subscriber_ops subscriber_ops = {
    .on_event = on_event, .on_finish = on_finish, .on_lost = on_lost, .on_broken = on_broken};

static struct event *reset_event(void) {
  struct sse_fields f = SSE_NO_FIELDS;
  f.event = SPAN("reset"), f.data = SPAN("events between your last id and these are gone");
  return sse_encode(&f, sse_length(&f));
}

// What is replayed waits beside what may come meanwhile. `events` are taken.
static void push_past(struct feed *f, struct event **events, size_t count, bool is_gone) {
  if (is_gone) feed_push(f, reset_event());
  for (size_t i = 0; i < count; i++) feed_push(f, events[i]);
  free(events);
  f->beside = f->count, f->bytes_beside = f->queued_bytes;
}

static void begin_live(struct feed *f, const struct replay *r) {
  push_past(f, r->events, r->count, r->reset);
  f->state = r->finished ? FEED_FINISHED : FEED_QUEUED;
}

// Pages without an event one after the other, before who waits is cut off: the store names a position that
// its channel does not come to, and would be asked for ever.
enum { IN_VAIN_MAX = 8 };

static void on_page(struct list *waiter, struct page *page);

// Asks for what lies behind `at`, or for the newest `last`.
static void ask_page(struct feed *f, struct channel *c, struct position at, long last) {
  list_init(&f->subscriber.link);
  f->state = FEED_REPLAYING;
  f->page = pages_ask(&f->service->pages, f->service->inbox, &(struct page_key){c, at, last},
                      &f->subscriber.link, on_page);
}

static void cut_off(struct feed *f, struct channel *c) {
  channel_forgo(c, f->service->loop->now);
  f->state = FEED_CUT_OFF, f->stream = NULL;
}

// Behind a page: what history has since then, and live; or the next page, once a reader has taken this one.
static void follow_page(struct feed *f) {
  struct page *page = f->page;
  const struct store_request *r = page->request;
  struct replay live;
  bool is_live =
      channel_follow(r->channel, f->service->inbox, &f->subscriber, r->at, f->service->loop->now, &live);
  if (!is_live && f->count) return;
  if (is_live) f->stream = NULL, begin_live(f, &live);
  else if (f->in_vain > IN_VAIN_MAX) cut_off(f, r->channel);
  else ask_page(f, r->channel, r->at, 0);
  page_unref(page);
}

// Its events are everybody's who wanted it.
static void push_page(struct feed *f, const struct store_request *r) {
  struct event **events = r->count ? xmalloc(r->count * sizeof *events) : NULL;
  for (size_t i = 0; i < r->count; i++) events[i] = event_ref(r->events[i]);
  push_past(f, events, r->count, r->is_gone);
}

static void on_page(struct list *waiter, struct page *page) {
  struct feed *f = container_of(waiter, struct feed, subscriber.link);
  const struct store_request *r = page->request;
  if (r->answer == STORE_UNAVAILABLE) {
    cut_off(f, r->channel);
    page_unref(page);
  } else {
    f->in_vain = r->count ? 0 : f->in_vain + 1;
    push_page(f, r);
    follow_page(f);
  }
  feed_tell_reader(f);
}

// Whether its page is there and waits to be taken.
static bool has_page(const struct feed *f) {
  return f->state == FEED_REPLAYING && list_empty(&f->subscriber.link);
}

struct event *feed_take(struct feed *f) {
  struct event *e = shift(f);
  if (!f->count && has_page(f)) follow_page(f);
  return e;
}

void feed_stop(struct feed *f) {
  channel_unsubscribe(&f->subscriber);
  if (f->state != FEED_REPLAYING) return;
  struct page *page = f->page;
  list_remove(&f->subscriber.link);
  cut_off(f, page->request->channel);
  page_unref(page);
}

void feed_free(struct feed *f) {
  if (!f) return;
  feed_tell_reader(f);
  list_remove(&f->held);
  feed_stop(f);
  for (struct event *e; (e = feed_take(f));) event_unref(e);
  if (f->is_kicked) event_unref(f->farewell);
  free(f->queue);
  free(f);
}

static void stop_source(struct stream_source *source) {
  feed_stop(container_of(source, struct feed, source));
}

static void free_source(struct stream_source *source) {
  feed_free(container_of(source, struct feed, source));
}

static const struct stream_source_ops source_ops = {.stop = stop_source, .free = free_source};

struct feed *feed_new(struct service *service, struct channel *c, struct span after, long last) {
  struct feed *f = xcalloc(1, sizeof *f);
  struct replay r;
  struct position at;
  f->service = service, f->subscriber.ops = &subscriber_ops;
  f->source.ops = &source_ops;
  list_init(&f->held);
  feed_set_queue(f, c->options.queue), f->on_full = (uint8_t)c->options.on_full;
  bool is_here = channel_subscribe(c, service->inbox, &f->subscriber, after, last, service->loop->now, &r);
  if (!position_read(after, &at)) at = (struct position){UINT64_MAX, 0}; // where no event is
  if (is_here) begin_live(f, &r);
  else ask_page(f, c, at, after.len ? 0 : last);
  return f;
}

void feed_attach(struct feed *f, struct stream *s) {
  enum feed_state state = f->state;
  struct event *farewell = f->is_kicked ? f->farewell : NULL;
  feed_tell_reader(f);
  list_remove(&f->held);
  f->is_kicked = false;
  f->stream = s, s->source = &f->source;
  if (s->is_gzip && feed_channel(f)) gzip_share(s->gzip, channel_compressor(feed_channel(f)));
  uint32_t beside = f->beside + s->queue.count; // the head is not the channel's either
  size_t bytes_beside = f->bytes_beside + s->queue.bytes;
  for (struct event *e; (e = feed_take(f));) stream_send(s, e);
  f->beside = beside, f->bytes_beside = bytes_beside;
  free(f->queue);
  f->queue = NULL, f->cap = f->first = 0;
  if (farewell) stream_kick(s, farewell);
  event_unref(farewell);
  if (state == FEED_QUEUED) f->state = FEED_STREAMED;
  else if (state == FEED_FINISHED) stream_end(s, REASON_FINISHED, false);
  else if (state == FEED_CUT_OFF || state == FEED_BROKEN) stream_end(s, REASON_ERROR, true);
  else stream_fall_behind(s);
}

bool feed_kick(struct feed *f, struct event *last) {
  if (f->state == FEED_STREAMED) return stream_kick(f->stream, last);
  channel_unsubscribe(&f->subscriber);
  f->is_kicked = true, f->farewell = event_ref(last);
  on_finish(&f->subscriber);
  return true;
}

struct channel *feed_channel(const struct feed *f) {
  if (f->state == FEED_REPLAYING) return f->page->request->channel;
  return f->subscriber.outlet ? f->subscriber.outlet->channel : NULL;
}

bool feed_is_over(const struct feed *f) { return f->state == FEED_FINISHED && !f->count; }
