// SPDX-License-Identifier: MIT
// The lock of a channel is held for an encoding and a few pointers, never across a call into Lua or I/O, and
// never together with another channel's but the source's of a derived one, which comes second. A channel with
// a store is numbered there; its history is a window of what the store has, in which subscribers go over from
// reading the past to what comes.
#include "event/channel.h"
#include <stdlib.h>
#include "base/lock.h"
#include "base/mem.h"
#include "event/broker.h"
#include "event/forms.h"

enum { WINDOW_MIN = 256 }; // events in the history of a channel with a store

struct channel *channel_new(struct broker *b, struct span name, const struct channel_options *o,
                            uint64_t epoch, double now) {
  struct channel *c = xcalloc(1, sizeof *c + name.len + 1);
  memcpy(c->name, name.bytes, name.len);
  c->node.name = (struct span){c->name, name.len};
  c->broker = b, c->options = *o, c->left_at = now;
  c->newest = (struct position){epoch, 0};
  atomic_init(&c->refs, 1);
  lock_init(&c->lock);
  members_init(&c->members, epoch ^ (uintptr_t)c);
  history_init(&c->history, o->history, o->history_bytes, o->ttl, &b->held);
  c->history.dropped = c->newest;
  c->state = CHANNEL_LIVE;
  return c;
}

void channel_keep_in(struct channel *c, struct store *s) {
  c->store = s, c->state = CHANNEL_LOADING;
  c->newest = c->history.dropped = (struct position){0};
  c->history.max = MAX(c->history.max, (size_t)WINDOW_MIN);
}

struct channel *channel_derive(struct channel *source, struct position dropped, double now) {
  struct channel *c = channel_new(source->broker, source->node.name, &source->options, dropped.epoch, now);
  c->source = channel_ref(source);
  c->history.dropped = c->newest = dropped;
  return c;
}

struct channel *channel_ref(struct channel *c) {
  atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
  return c;
}

void channel_unref(struct channel *c) {
  if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
  while (c->outlets) {
    struct outlet *o = c->outlets;
    c->outlets = o->next; // empty: what waits in one holds the channel
    outlet_free(o);
  }
  members_deinit(&c->members);
  history_deinit(&c->history);
  compressor_unref(c->compressor);
  lock_deinit(&c->lock);
  channel_unref(c->source);
  free(c);
}

// On the worker's thread: what has been left here since the last time, to each subscriber.
static void deliver(struct message *m) {
  struct outlet *o = container_of(m, struct outlet, message);
  struct channel *c = o->channel;
  lock_take(&c->lock);
  struct delivery d = outlet_take(o, c->state == CHANNEL_FINISHED);
  lock_release(&c->lock);
  outlet_hand_out(o, &d);
  channel_unref(c);
}

// With the lock held: wakes the outlet's worker, unless it has been already.
static void post(struct outlet *o) {
  if (o->posted) return;
  o->posted = true;
  channel_ref(o->channel);
  inbox_post(o->inbox, &o->message);
}

struct event *channel_event(const struct sse_fields *fields, uint64_t key, struct position at,
                            char id[CHANNEL_ID_MAX]) {
  struct sse_fields f = *fields;
  f.id = (struct span){id, position_write(at, id)};
  struct event *e = sse_encode(&f, sse_length(&f));
  if (f.trace.len == TRACE_LEN) e = event_with_trace(e, f.trace);
  e->epoch = at.epoch, e->seq = at.seq, e->key = key;
  return e;
}

// With the lock held: a later event into history and to the outlets. The only way into a channel.
static void admit(struct channel *c, struct event *e, double now) {
  c->newest = event_position(e);
  if (c->compressor) forms_place(e, c->compressor);
  history_add(&c->history, e, now);
  atomic_fetch_add_explicit(&c->broker->published_total, 1, memory_order_relaxed);
  for (struct outlet *o = c->outlets; o; o = o->next) {
    if (!o->subscriber_count) continue;
    if (!outlet_leave(o, e, c->broker->limits.inbox)) atomic_fetch_add(&c->broker->lost_total, 1);
    post(o);
  }
}

// With the lock held: an event of the fields, at that position.
static void channel_append(struct channel *c, const struct sse_fields *fields, uint64_t key,
                           struct position at, double now, char id[CHANNEL_ID_MAX]) {
  struct event *e = channel_event(fields, key, at, id);
  admit(c, e, now);
  event_unref(e);
}

static struct position next_position(const struct channel *c) {
  return (struct position){c->newest.epoch, c->newest.seq + 1};
}

// With the lock held. An event that takes the place of an older one is never too much.
static bool is_over_ceiling(struct channel *c, double now) {
  const struct history *h = &c->history;
  if (!h->max) return false;
  history_expire(&c->history, now);
  size_t freed = h->count == h->max ? history_at(h, 0)->len : 0;
  size_t held = (size_t)(atomic_load(&c->broker->held.bytes) + event_form_bytes());
  if (held < c->broker->limits.bytes + freed) return false;
  atomic_fetch_add(&c->broker->full_total, 1);
  return true;
}

// With the lock held: why nothing can be published.
static enum publish_result refusal(struct channel *c, double now) {
  if (c->state == CHANNEL_FINISHED) return PUBLISH_FINISHED;
  return is_over_ceiling(c, now) ? PUBLISH_FULL : PUBLISH_OK;
}

enum publish_result channel_publish(struct channel *c, const struct sse_fields *fields, uint64_t key,
                                    double now, char id[CHANNEL_ID_MAX]) {
  lock_take(&c->lock);
  enum publish_result result = refusal(c, now);
  if (result == PUBLISH_OK) channel_append(c, fields, key, next_position(c), now, id);
  lock_release(&c->lock);
  return result;
}

enum publish_result channel_publish_at(struct channel *c, const struct sse_fields *fields, uint64_t key,
                                       struct position at, double now, char id[CHANNEL_ID_MAX]) {
  lock_take(&c->lock);
  enum publish_result result = refusal(c, now);
  if (result == PUBLISH_OK && position_is_after(at, c->newest)) channel_append(c, fields, key, at, now, id);
  lock_release(&c->lock);
  return result;
}

// With the lock held: half of the room for history is left to channels that have no store to read from.
static void relieve(struct channel *c) {
  while (c->history.count && (size_t)atomic_load(&c->broker->held.bytes) > c->broker->limits.bytes / 2)
    history_drop_first(&c->history);
}

enum admit_result channel_admit(struct channel *c, struct event *e, struct position before, double now) {
  enum admit_result result = ADMIT_OK;
  lock_take(&c->lock);
  if (c->state == CHANNEL_FINISHED || !position_is_after(event_position(e), c->newest)) result = ADMIT_KNOWN;
  else if (c->state == CHANNEL_LOADING || !position_equals(before, c->newest)) result = ADMIT_JUMP;
  else {
    admit(c, e, now);
    relieve(c);
  }
  lock_release(&c->lock);
  return result;
}

void channel_loaded(struct channel *c, struct position newest) {
  lock_take(&c->lock);
  if (c->state == CHANNEL_LOADING) c->newest = c->history.dropped = newest, c->state = CHANNEL_LIVE;
  lock_release(&c->lock);
}

bool channel_unload(struct channel *c, double linger, double now) {
  lock_take(&c->lock);
  bool is_lonely = !c->subscriber_count && !c->catching_up && !c->members.count && now >= c->left_at + linger;
  if (is_lonely) {
    history_clear(&c->history);
    c->newest = c->history.dropped = (struct position){0};
    c->state = CHANNEL_LOADING;
  }
  lock_release(&c->lock);
  return is_lonely;
}

void channel_break(struct channel *c, struct position to) {
  lock_take(&c->lock);
  history_clear(&c->history);
  c->newest = c->history.dropped = to;
  for (struct outlet *o = c->outlets; o; o = o->next) {
    if (!o->subscriber_count) continue;
    outlet_break(o);
    post(o);
  }
  lock_release(&c->lock);
}

void channel_skip(struct channel *c, struct position to) {
  lock_take(&c->lock);
  if (position_is_after(to, c->newest)) c->newest = to;
  lock_release(&c->lock);
}

struct position channel_newest(struct channel *c) {
  lock_take(&c->lock);
  struct position newest = c->newest;
  lock_release(&c->lock);
  return newest;
}

struct position channel_before(struct channel *c, const struct event *e) {
  lock_take(&c->lock);
  struct position before = history_before(&c->history, event_position(e));
  lock_release(&c->lock);
  return before;
}

enum publish_result channel_finish(struct channel *c, const struct sse_fields *fields, double now) {
  char id[CHANNEL_ID_MAX];
  lock_take(&c->lock);
  bool was_finished = c->state == CHANNEL_FINISHED;
  if (!was_finished && fields) channel_append(c, fields, 0, next_position(c), now, id);
  c->state = CHANNEL_FINISHED;
  for (struct outlet *o = c->outlets; o && !was_finished; o = o->next)
    if (o->subscriber_count) post(o);
  lock_release(&c->lock);
  return was_finished ? PUBLISH_FINISHED : PUBLISH_OK;
}

// With the lock held; NULL where there is none.
static struct outlet *find_outlet(const struct channel *c, const struct inbox *inbox) {
  for (struct outlet *o = c->outlets; o; o = o->next)
    if (o->inbox == inbox) return o;
  return NULL;
}

struct list *channel_subscribers_at(struct channel *c, const struct inbox *inbox) {
  lock_take(&c->lock);
  struct outlet *o = find_outlet(c, inbox);
  lock_release(&c->lock);
  return o ? &o->subscribers : NULL;
}

// With the lock held.
static struct outlet *outlet_at(struct channel *c, struct inbox *inbox) {
  struct outlet *o = find_outlet(c, inbox);
  if (o) return o;
  o = outlet_new(c, inbox, deliver);
  o->next = c->outlets;
  return c->outlets = o;
}

// With the lock held: references to the newest n events.
static struct event **history_collect(struct channel *c, size_t n) {
  if (!n) return NULL;
  struct event **events = xmalloc(n * sizeof *events);
  for (size_t i = 0; i < n; i++) events[i] = event_ref(history_at(&c->history, c->history.count - n + i));
  return events;
}

static size_t newest(const struct channel *c, long n) {
  size_t count = MIN(c->history.count, c->options.history);
  return n < 0 ? count : MIN((size_t)n, count);
}

// With the lock held: how many events there are behind the id, which is read into *p; -1 where they are not
// all here, or it is none of this channel.
static long count_after(struct channel *c, struct span id, struct position *p) {
  struct position newest = c->source ? channel_newest(c->source) : c->newest;
  if (!position_read(id, p) || position_is_after(*p, newest)) return -1;
  return history_after(&c->history, *p);
}

// With the lock held: how many of the newest events are to be replayed; -1 where the store alone has them.
static long count_last(const struct channel *c, long last) {
  bool is_stored = c->store && (last == -1 || last > (long)newest(c, -1));
  return is_stored ? -1 : (long)newest(c, last);
}

// With the lock held: subscribes with the newest n events, of somebody who then has all up to `last`.
static void channel_enter(struct channel *c, struct inbox *inbox, struct subscriber *s, size_t n,
                          struct position last, struct replay *r) {
  *r = (struct replay){.events = history_collect(c, n), .count = n, .finished = c->state == CHANNEL_FINISHED};
  s->last = position_is_after(last, c->newest) ? last : c->newest;
  struct outlet *o = s->outlet = outlet_at(c, inbox);
  list_init(&s->link);
  list_append(&o->subscribers, &s->link);
  o->subscriber_count++, c->subscriber_count++;
  channel_ref(c);
}

// Where other workers' derived channels are ahead of this one, the newest event that the subscriber has may
// be one still to come here.
bool channel_subscribe(struct channel *c, struct inbox *inbox, struct subscriber *s, struct span after,
                       long last, double now, struct replay *r) {
  struct position p = {0};
  lock_take(&c->lock);
  history_expire(&c->history, now);
  long n = after.len ? count_after(c, after, &p) : count_last(c, last);
  bool is_here = n >= 0 || !c->store;
  if (is_here) channel_enter(c, inbox, s, n < 0 ? c->history.count : (size_t)n, n < 0 ? c->newest : p, r);
  if (is_here) r->reset = n < 0;
  else c->catching_up++;
  lock_release(&c->lock);
  return is_here;
}

bool channel_follow(struct channel *c, struct inbox *inbox, struct subscriber *s, struct position from,
                    double now, struct replay *r) {
  lock_take(&c->lock);
  history_expire(&c->history, now);
  bool is_there = c->state != CHANNEL_LOADING && !position_is_after(from, c->newest);
  long n = is_there ? history_after(&c->history, from) : -1;
  if (n >= 0) channel_enter(c, inbox, s, (size_t)n, from, r), c->catching_up--;
  lock_release(&c->lock);
  return n >= 0;
}

void channel_forgo(struct channel *c, double now) {
  lock_take(&c->lock);
  c->catching_up--, c->left_at = now;
  lock_release(&c->lock);
}

struct compressor *channel_compressor(struct channel *c) {
  struct broker *b = c->broker;
  lock_take(&c->lock);
  if (!c->compressor) c->compressor = compressor_new(b->limits.window_bits, &b->deflaters);
  struct compressor *compressor = compressor_ref(c->compressor);
  lock_release(&c->lock);
  return compressor;
}

void channel_unsubscribe(struct subscriber *s) {
  if (!s->outlet) return;
  struct channel *c = s->outlet->channel;
  list_remove(&s->link);
  lock_take(&c->lock);
  s->outlet->subscriber_count--, c->subscriber_count--;
  c->left_at = s->outlet->inbox->loop->now;
  lock_release(&c->lock);
  s->outlet = NULL;
  channel_unref(c);
}

long channel_history(struct channel *c, long n, double now, struct event ***events) {
  lock_take(&c->lock);
  history_expire(&c->history, now);
  long count = count_last(c, n);
  *events = history_collect(c, (size_t)MAX(count, 0L));
  lock_release(&c->lock);
  return count;
}

// With the lock held: an event that says who came or went.
static void channel_tell(struct channel *c, const struct sse_fields *fields, uint64_t key, double now) {
  char id[CHANNEL_ID_MAX];
  if (refusal(c, now) == PUBLISH_OK) channel_append(c, fields, key, next_position(c), now, id);
}

void channel_join(struct channel *c, struct span id, struct span meta, const struct sse_fields *fields,
                  uint64_t key, double now) {
  lock_take(&c->lock);
  if (members_join(&c->members, id, meta)) channel_tell(c, fields, key, now);
  lock_release(&c->lock);
}

void channel_leave(struct channel *c, struct span id, const struct sse_fields *fields, uint64_t key,
                   double now) {
  lock_take(&c->lock);
  if (members_leave(&c->members, id)) channel_tell(c, fields, key, now);
  lock_release(&c->lock);
}

static bool has_state(struct channel *c, enum channel_state state) {
  lock_take(&c->lock);
  bool is_so = c->state == state;
  lock_release(&c->lock);
  return is_so;
}

bool channel_is_finished(struct channel *c) { return has_state(c, CHANNEL_FINISHED); }
bool channel_is_loading(struct channel *c) { return has_state(c, CHANNEL_LOADING); }

bool channel_is_ready(struct channel *c, double now) {
  lock_take(&c->lock);
  bool is_ready = c->state != CHANNEL_LOADING;
  if (is_ready) c->left_at = now;
  lock_release(&c->lock);
  return is_ready;
}

double channel_lonely(struct channel *c, double now) {
  lock_take(&c->lock);
  double seconds = c->subscriber_count || c->catching_up ? -1 : MAX(now - c->left_at, 0.0);
  lock_release(&c->lock);
  return seconds;
}

bool channel_is_empty(struct channel *c, double now, bool is_pressed) {
  lock_take(&c->lock);
  history_expire(&c->history, now);
  bool has_past = (!c->store || !is_pressed) && c->history.count;
  bool empty = !c->subscriber_count && !c->catching_up && !c->members.count && !has_past;
  lock_release(&c->lock);
  return empty;
}

size_t channel_subscribers_here(struct channel *c) {
  lock_take(&c->lock);
  size_t count = c->subscriber_count;
  lock_release(&c->lock);
  return count;
}

size_t channel_subscribers(struct channel *c) {
  return channel_subscribers_here(c) + atomic_load_explicit(&c->elsewhere, memory_order_relaxed);
}

size_t channel_members(struct channel *c, struct buf *out) {
  lock_take(&c->lock);
  members_list(&c->members, out);
  size_t count = c->members.count;
  lock_release(&c->lock);
  return count;
}
