// SPDX-License-Identifier: MIT
// The lock of a channel is held for an encoding and a few pointers, never across a call into Lua or I/O, and
// never together with another channel's but the source's of a derived one, which comes second. Only the
// thread of its worker touches a list of subscribers, so that the fan-out itself runs unlocked.
#include "event/channel.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "event/broker.h"

enum { PENDING_MAX = 65536 }; // events left for one worker; beyond, its subscribers lose them and are told

struct channel *channel_new(struct broker *b, struct span name, const struct channel_options *o,
                            uint64_t epoch, double now) {
  struct channel *c = xcalloc(1, sizeof *c + name.len + 1);
  memcpy(c->name, name.bytes, name.len);
  c->node.name = (struct span){c->name, name.len};
  c->broker = b, c->options = *o, c->epoch = epoch, c->left_at = now;
  atomic_init(&c->refs, 1);
  pthread_mutex_init(&c->lock, NULL);
  members_init(&c->members, epoch ^ (uintptr_t)c);
  history_init(&c->history, o->history, o->history_bytes, o->ttl);
  return c;
}

struct channel *channel_derive(struct channel *source, uint64_t dropped, double now) {
  struct channel *c = channel_new(source->broker, source->node.name, &source->options, source->epoch, now);
  c->source = channel_ref(source);
  c->history.dropped = c->seq = dropped;
  return c;
}

struct channel *channel_ref(struct channel *c) {
  atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
  return c;
}

// With the lock held.
static void drop_pending(struct outlet *o) {
  for (size_t i = 0; i < o->pending_count; i++) event_unref(o->pending[i]);
  atomic_fetch_sub(&o->inbox->bytes, o->pending_bytes);
  o->pending_count = o->pending_bytes = 0;
}

void channel_unref(struct channel *c) {
  if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
  while (c->outlets) {
    struct outlet *o = c->outlets;
    c->outlets = o->next; // empty: what waits in one holds the channel
    free(o->pending);
    free(o);
  }
  members_deinit(&c->members);
  atomic_fetch_sub(&c->broker->bytes, (long)c->history.bytes);
  atomic_fetch_sub(&c->broker->events, (long)c->history.count);
  history_deinit(&c->history);
  pthread_mutex_destroy(&c->lock);
  channel_unref(c->source);
  free(c);
}

// What an outlet had when its worker came for it.
struct delivery {
  struct event **events;
  size_t count;
  bool lost, finished;
};

static void hand_out(struct subscriber *s, const struct delivery *d) {
  if (d->lost) {
    s->ops->on_lost(s);
    return;
  }
  for (size_t i = 0; i < d->count; i++) {
    if (d->events[i]->seq <= s->last_seq) continue;
    s->last_seq = d->events[i]->seq;
    if (!s->ops->on_event(s, d->events[i])) return;
  }
  if (d->finished) s->ops->on_finish(s);
}

// Each is linked back before it is told, as it may go meanwhile, and others with it.
static void hand_out_all(struct outlet *o, const struct delivery *d) {
  struct list left;
  list_init(&left);
  list_splice(&left, &o->subscribers);
  for (struct list *node; (node = list_shift(&left));) {
    list_append(&o->subscribers, node);
    hand_out(container_of(node, struct subscriber, link), d);
  }
}

// With the lock held.
static struct delivery take_pending(struct outlet *o) {
  struct delivery d = {o->pending, o->pending_count, o->lost, o->channel->finished};
  atomic_fetch_sub(&o->inbox->bytes, o->pending_bytes);
  o->pending = NULL;
  o->pending_count = o->pending_cap = o->pending_bytes = 0;
  o->posted = o->lost = false;
  return d;
}

// On the worker's thread: what has been left here since the last time, to each subscriber.
static void deliver(struct message *m) {
  struct outlet *o = container_of(m, struct outlet, message);
  struct channel *c = o->channel;
  pthread_mutex_lock(&c->lock);
  struct delivery d = take_pending(o);
  pthread_mutex_unlock(&c->lock);
  hand_out_all(o, &d);
  for (size_t i = 0; i < d.count; i++) event_unref(d.events[i]);
  free(d.events);
  channel_unref(c);
}

// With the lock held: wakes the outlet's worker, unless it has been already.
static void post(struct outlet *o) {
  if (o->posted) return;
  o->posted = true;
  channel_ref(o->channel);
  list_init(&o->message.link);
  inbox_post(o->inbox, &o->message);
}

static bool is_outlet_full(const struct outlet *o, const struct event *e) {
  size_t waiting = atomic_load_explicit(&o->inbox->bytes, memory_order_relaxed);
  return o->pending_count >= PENDING_MAX || (waiting && waiting + e->len > o->channel->broker->limits.inbox);
}

static void leave_event(struct outlet *o, struct event *e) {
  if (!o->lost && is_outlet_full(o, e)) {
    drop_pending(o);
    o->lost = true;
    atomic_fetch_add(&o->channel->broker->lost_total, 1);
  }
  if (o->lost) return;
  atomic_fetch_add_explicit(&o->inbox->bytes, e->len, memory_order_relaxed);
  o->pending_bytes += e->len;
  if (o->pending_count == o->pending_cap) {
    o->pending_cap = o->pending_cap ? o->pending_cap * 2 : 8;
    o->pending = xrealloc(o->pending, o->pending_cap * sizeof *o->pending);
  }
  o->pending[o->pending_count++] = event_ref(e);
}

static size_t write_id(const struct channel *c, uint64_t seq, char id[CHANNEL_ID_MAX]) {
  return (size_t)snprintf(id, CHANNEL_ID_MAX, "%llx-%llu", (unsigned long long)c->epoch,
                          (unsigned long long)seq);
}

// With the lock held: the event with its number, into history and to the outlets.
static void append(struct channel *c, const struct sse_fields *fields, uint64_t key, double now,
                   char id[CHANNEL_ID_MAX]) {
  struct sse_fields f = *fields;
  f.id = (struct span){id, write_id(c, c->seq, id)};
  struct event *e = sse_encode(&f, sse_length(&f));
  e->seq = c->seq, e->key = key;
  long count = (long)c->history.count;
  atomic_fetch_add(&c->broker->bytes, history_add(&c->history, e, now));
  atomic_fetch_add(&c->broker->events, (long)c->history.count - count);
  for (struct outlet *o = c->outlets; o; o = o->next) {
    if (!o->subscriber_count) continue;
    leave_event(o, e);
    post(o);
  }
  event_unref(e);
}

// With the lock held.
static void expire(struct channel *c, double now) {
  long count = (long)c->history.count;
  atomic_fetch_add(&c->broker->bytes, history_expire(&c->history, now));
  atomic_fetch_add(&c->broker->events, (long)c->history.count - count);
}

// With the lock held. An event that takes the place of an older one is never too much.
static bool is_over_ceiling(struct channel *c, double now) {
  const struct history *h = &c->history;
  if (!h->max) return false;
  expire(c, now);
  size_t freed = h->count == h->max ? history_at(h, 0)->len : 0;
  if ((size_t)atomic_load(&c->broker->bytes) < c->broker->limits.bytes + freed) return false;
  atomic_fetch_add(&c->broker->full_total, 1);
  return true;
}

enum publish_result channel_publish(struct channel *c, const struct sse_fields *fields, uint64_t key,
                                    uint64_t seq, double now, char id[CHANNEL_ID_MAX]) {
  enum publish_result result = PUBLISH_OK;
  pthread_mutex_lock(&c->lock);
  if (c->finished) result = PUBLISH_FINISHED;
  else if (is_over_ceiling(c, now)) result = PUBLISH_FULL;
  else if (!seq || seq > c->seq) {
    c->seq = seq ? seq : c->seq + 1;
    append(c, fields, key, now, id);
    atomic_fetch_add_explicit(&c->broker->published_total, 1, memory_order_relaxed);
  }
  pthread_mutex_unlock(&c->lock);
  return result;
}

void channel_skip(struct channel *c, uint64_t seq) {
  pthread_mutex_lock(&c->lock);
  c->seq = MAX(c->seq, seq);
  pthread_mutex_unlock(&c->lock);
}

uint64_t channel_seq(struct channel *c) {
  pthread_mutex_lock(&c->lock);
  uint64_t seq = c->seq;
  pthread_mutex_unlock(&c->lock);
  return seq;
}

enum publish_result channel_finish(struct channel *c, const struct sse_fields *fields, double now) {
  char id[CHANNEL_ID_MAX];
  pthread_mutex_lock(&c->lock);
  bool was_finished = c->finished;
  if (!was_finished && fields) {
    c->seq++;
    append(c, fields, 0, now, id);
    atomic_fetch_add_explicit(&c->broker->published_total, 1, memory_order_relaxed);
  }
  c->finished = true;
  for (struct outlet *o = c->outlets; o && !was_finished; o = o->next)
    if (o->subscriber_count) post(o);
  pthread_mutex_unlock(&c->lock);
  return was_finished ? PUBLISH_FINISHED : PUBLISH_OK;
}

// With the lock held.
static struct outlet *outlet_at(struct channel *c, struct inbox *inbox) {
  for (struct outlet *o = c->outlets; o; o = o->next)
    if (o->inbox == inbox) return o;
  struct outlet *o = xcalloc(1, sizeof *o);
  *o = (struct outlet){.message = {.deliver = deliver}, .channel = c, .inbox = inbox, .next = c->outlets};
  list_init(&o->subscribers);
  return c->outlets = o;
}

// The number in an id of this channel; false for anything else.
static bool parse_id(const struct channel *c, struct span id, uint64_t *seq) {
  char own[CHANNEL_ID_MAX];
  *seq = 0;
  struct span rest = id, epoch = span_split(&rest, '-');
  size_t len = (size_t)snprintf(own, sizeof own, "%llx", (unsigned long long)c->epoch);
  if (!span_equal(epoch, (struct span){own, len}) || !rest.len || rest.len > 19) return false;
  for (size_t i = 0; i < rest.len; i++) {
    if (rest.bytes[i] < '0' || rest.bytes[i] > '9') return false;
    *seq = *seq * 10 + (uint64_t)(rest.bytes[i] - '0');
  }
  return *seq <= (c->source ? channel_seq(c->source) : c->seq);
}

// With the lock held: references to the newest n events.
static struct event **collect(struct channel *c, size_t n) {
  if (!n) return NULL;
  struct event **events = xmalloc(n * sizeof *events);
  for (size_t i = 0; i < n; i++) events[i] = event_ref(history_at(&c->history, c->history.count - n + i));
  return events;
}

static size_t newest(const struct channel *c, long n) {
  return n < 0 ? c->history.count : MIN((size_t)n, c->history.count);
}

// With the lock held: what is to be replayed. The number of the newest event that the subscriber then has:
// where other workers' derived channels are ahead of this one, that may be one still to come.
static uint64_t read_past(struct channel *c, struct span after, long last, struct replay *r) {
  uint64_t seq = 0;
  *r = (struct replay){.count = newest(c, last), .finished = c->finished};
  if (after.len) {
    long n = parse_id(c, after, &seq) ? history_after(&c->history, seq) : -1;
    r->reset = n < 0;
    r->count = n < 0 ? c->history.count : (size_t)n;
    if (n < 0) seq = 0;
  }
  r->events = collect(c, r->count);
  return MAX(c->seq, seq);
}

void channel_subscribe(struct channel *c, struct inbox *inbox, struct subscriber *s, struct span after,
                       long last, double now, struct replay *r) {
  pthread_mutex_lock(&c->lock);
  expire(c, now);
  s->last_seq = read_past(c, after, last, r);
  struct outlet *o = s->outlet = outlet_at(c, inbox);
  list_init(&s->link);
  list_append(&o->subscribers, &s->link);
  o->subscriber_count++, c->subscriber_count++;
  pthread_mutex_unlock(&c->lock);
  channel_ref(c);
}

void channel_unsubscribe(struct subscriber *s) {
  if (!s->outlet) return;
  struct channel *c = s->outlet->channel;
  list_remove(&s->link);
  pthread_mutex_lock(&c->lock);
  s->outlet->subscriber_count--, c->subscriber_count--;
  c->left_at = s->outlet->inbox->loop->now;
  pthread_mutex_unlock(&c->lock);
  s->outlet = NULL;
  channel_unref(c);
}

size_t channel_history(struct channel *c, long n, double now, struct event ***events) {
  pthread_mutex_lock(&c->lock);
  expire(c, now);
  size_t count = newest(c, n);
  *events = collect(c, count);
  pthread_mutex_unlock(&c->lock);
  return count;
}

// With the lock held: an event that says who came or went.
static void tell(struct channel *c, const struct sse_fields *fields, uint64_t key, double now) {
  char id[CHANNEL_ID_MAX];
  if (c->finished || is_over_ceiling(c, now)) return;
  c->seq++;
  append(c, fields, key, now, id);
  atomic_fetch_add_explicit(&c->broker->published_total, 1, memory_order_relaxed);
}

void channel_join(struct channel *c, struct span id, struct span meta, const struct sse_fields *fields,
                  uint64_t key, double now) {
  pthread_mutex_lock(&c->lock);
  if (members_join(&c->members, id, meta)) tell(c, fields, key, now);
  pthread_mutex_unlock(&c->lock);
}

void channel_leave(struct channel *c, struct span id, const struct sse_fields *fields, uint64_t key,
                   double now) {
  pthread_mutex_lock(&c->lock);
  if (members_leave(&c->members, id)) tell(c, fields, key, now);
  pthread_mutex_unlock(&c->lock);
}

bool channel_is_finished(struct channel *c) {
  pthread_mutex_lock(&c->lock);
  bool finished = c->finished;
  pthread_mutex_unlock(&c->lock);
  return finished;
}

double channel_lonely(struct channel *c, double now) {
  pthread_mutex_lock(&c->lock);
  double seconds = c->subscriber_count ? -1 : MAX(now - c->left_at, 0.0);
  pthread_mutex_unlock(&c->lock);
  return seconds;
}

bool channel_is_empty(struct channel *c, double now) {
  pthread_mutex_lock(&c->lock);
  expire(c, now);
  bool empty = !c->subscriber_count && !c->members.count && !c->history.count;
  pthread_mutex_unlock(&c->lock);
  return empty;
}

size_t channel_subscribers(struct channel *c) {
  pthread_mutex_lock(&c->lock);
  size_t count = c->subscriber_count;
  pthread_mutex_unlock(&c->lock);
  return count;
}

size_t channel_members(struct channel *c, struct buf *out) {
  pthread_mutex_lock(&c->lock);
  members_list(&c->members, out);
  size_t count = c->members.count;
  pthread_mutex_unlock(&c->lock);
  return count;
}
