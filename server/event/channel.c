// SPDX-License-Identifier: MIT
// The lock of a channel is held for an encoding and a few pointers, never across a call into Lua or I/O, and
// never together with another channel's but the source's of a derived one, which comes second. Only the
// thread of its worker touches a list of subscribers, so that the fan-out itself runs unlocked.
#include "event/channel.h"
#include <stdlib.h>
#include "base/mem.h"
#include "event/broker.h"

enum { PENDING_MAX = 65536 }; // events left for one worker; beyond, its subscribers lose them and are told

struct channel *channel_new(struct broker *b, struct span name, const struct channel_options *o,
                            uint64_t epoch, double now) {
  struct channel *c = xcalloc(1, sizeof *c + name.len + 1);
  memcpy(c->name, name.bytes, name.len);
  c->node.name = (struct span){c->name, name.len};
  c->broker = b, c->options = *o, c->left_at = now;
  c->newest = (struct position){epoch, 0};
  atomic_init(&c->refs, 1);
  pthread_mutex_init(&c->lock, NULL);
  members_init(&c->members, epoch ^ (uintptr_t)c);
  history_init(&c->history, o->history, o->history_bytes, o->ttl);
  c->history.dropped = c->newest;
  return c;
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
  size_t i = 0;
  while (i < d->count && !position_is_after(event_position(d->events[i]), s->last)) i++;
  if (i < d->count) s->last = event_position(d->events[d->count - 1]);
  for (; i < d->count; i++)
    if (!s->ops->on_event(s, d->events[i])) return;
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
  struct delivery d = {o->pending, o->pending_count, o->lost, o->channel->state == CHANNEL_FINISHED};
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

struct event *channel_event(const struct sse_fields *fields, uint64_t key, struct position at,
                            char id[CHANNEL_ID_MAX]) {
  struct sse_fields f = *fields;
  f.id = (struct span){id, position_write(at, id)};
  struct event *e = sse_encode(&f, sse_length(&f));
  e->epoch = at.epoch, e->seq = at.seq, e->key = key;
  return e;
}

// With the lock held: a later event into history and to the outlets. The only way into a channel.
static void admit(struct channel *c, struct event *e, double now) {
  long count = (long)c->history.count;
  c->newest = event_position(e);
  atomic_fetch_add(&c->broker->bytes, history_add(&c->history, e, now));
  atomic_fetch_add(&c->broker->events, (long)c->history.count - count);
  atomic_fetch_add_explicit(&c->broker->published_total, 1, memory_order_relaxed);
  for (struct outlet *o = c->outlets; o; o = o->next) {
    if (!o->subscriber_count) continue;
    leave_event(o, e);
    post(o);
  }
}

// With the lock held: an event of the fields, at that position.
static void append(struct channel *c, const struct sse_fields *fields, uint64_t key, struct position at,
                   double now, char id[CHANNEL_ID_MAX]) {
  struct event *e = channel_event(fields, key, at, id);
  admit(c, e, now);
  event_unref(e);
}

static struct position next_position(const struct channel *c) {
  return (struct position){c->newest.epoch, c->newest.seq + 1};
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

// With the lock held: why nothing can be published.
static enum publish_result refusal(struct channel *c, double now) {
  if (c->state == CHANNEL_FINISHED) return PUBLISH_FINISHED;
  return is_over_ceiling(c, now) ? PUBLISH_FULL : PUBLISH_OK;
}

enum publish_result channel_publish(struct channel *c, const struct sse_fields *fields, uint64_t key,
                                    double now, char id[CHANNEL_ID_MAX]) {
  pthread_mutex_lock(&c->lock);
  enum publish_result result = refusal(c, now);
  if (result == PUBLISH_OK) append(c, fields, key, next_position(c), now, id);
  pthread_mutex_unlock(&c->lock);
  return result;
}

enum publish_result channel_publish_at(struct channel *c, const struct sse_fields *fields, uint64_t key,
                                       struct position at, double now, char id[CHANNEL_ID_MAX]) {
  pthread_mutex_lock(&c->lock);
  enum publish_result result = refusal(c, now);
  if (result == PUBLISH_OK && position_is_after(at, c->newest)) append(c, fields, key, at, now, id);
  pthread_mutex_unlock(&c->lock);
  return result;
}

enum admit_result channel_admit(struct channel *c, struct event *e, struct position before, double now) {
  enum admit_result result = ADMIT_OK;
  pthread_mutex_lock(&c->lock);
  if (c->state == CHANNEL_FINISHED || !position_is_after(event_position(e), c->newest)) result = ADMIT_KNOWN;
  else if (!position_equals(before, c->newest)) result = ADMIT_JUMP;
  else admit(c, e, now);
  pthread_mutex_unlock(&c->lock);
  return result;
}

void channel_skip(struct channel *c, struct position to) {
  pthread_mutex_lock(&c->lock);
  if (position_is_after(to, c->newest)) c->newest = to;
  pthread_mutex_unlock(&c->lock);
}

struct position channel_newest(struct channel *c) {
  pthread_mutex_lock(&c->lock);
  struct position newest = c->newest;
  pthread_mutex_unlock(&c->lock);
  return newest;
}

enum publish_result channel_finish(struct channel *c, const struct sse_fields *fields, double now) {
  char id[CHANNEL_ID_MAX];
  pthread_mutex_lock(&c->lock);
  bool was_finished = c->state == CHANNEL_FINISHED;
  if (!was_finished && fields) append(c, fields, 0, next_position(c), now, id);
  c->state = CHANNEL_FINISHED;
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

// With the lock held: how many events there are behind the id, which is read into *p; -1 where they are not
// all here, or it is none of this channel.
static long count_after(struct channel *c, struct span id, struct position *p) {
  struct position newest = c->source ? channel_newest(c->source) : c->newest;
  if (!position_read(id, p) || position_is_after(*p, newest)) return -1;
  return history_after(&c->history, *p);
}

// With the lock held: what is to be replayed. The position of the newest event that the subscriber then has:
// where other workers' derived channels are ahead of this one, that may be one still to come.
static struct position read_past(struct channel *c, struct span after, long last, struct replay *r) {
  struct position p = c->newest;
  long n = after.len ? count_after(c, after, &p) : (long)newest(c, last);
  *r = (struct replay){.finished = c->state == CHANNEL_FINISHED, .reset = n < 0};
  r->count = n < 0 ? c->history.count : (size_t)n;
  r->events = collect(c, r->count);
  return n >= 0 && position_is_after(p, c->newest) ? p : c->newest;
}

void channel_subscribe(struct channel *c, struct inbox *inbox, struct subscriber *s, struct span after,
                       long last, double now, struct replay *r) {
  pthread_mutex_lock(&c->lock);
  expire(c, now);
  s->last = read_past(c, after, last, r);
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
  if (refusal(c, now) == PUBLISH_OK) append(c, fields, key, next_position(c), now, id);
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
  bool finished = c->state == CHANNEL_FINISHED;
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
