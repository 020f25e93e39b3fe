// SPDX-License-Identifier: MIT
// The broker's lock comes before a channel's, and is held for a look-up only. A channel is freed by its last
// reference; the broker gives up its own where nobody else has one and nothing would be lost.
#include "event/broker.h"
#include "base/lock.h"

static const double SWEEP_SECONDS = 1;
enum { SWEEP_BUCKETS = 512 }; // at a time: under the lock, a twentieth of a millisecond

static struct channel *channel_of(struct map_node *node) { return container_of(node, struct channel, node); }

void broker_init(struct broker *b, struct broker_limits limits) {
  *b = (struct broker){.limits = limits, .deflaters = {.bytes_max = limits.deflaters}};
  lock_init(&b->lock);
  map_init(&b->channels, map_seed(b));
}

// With the lock held.
static void broker_take_out(struct broker *b, struct channel *c) {
  if (c->removed) return;
  c->removed = true;
  map_remove(&b->channels, &c->node);
  channel_unref(c);
}

static void take_out_node(struct map_node *node, void *b) { broker_take_out(b, channel_of(node)); }

void broker_deinit(struct broker *b) {
  map_each(&b->channels, take_out_node, b);
  map_deinit(&b->channels);
  lock_deinit(&b->lock);
}

// With the broker's lock held, under which alone references are given out.
static bool is_idle(struct channel *c, double now, bool is_pressed) {
  bool idle = channel_is_empty(c, now, is_pressed);
  return idle && atomic_load(&c->refs) == 1;
}

struct sweep {
  struct broker *broker;
  double now;
  bool is_pressed; // room is wanted
  size_t gone;
};

static void sweep_channel(struct map_node *node, void *arg) {
  struct sweep *s = arg;
  if (!is_idle(channel_of(node), s->now, s->is_pressed)) return;
  broker_take_out(s->broker, channel_of(node));
  s->gone++;
}

// With the lock held: from this bucket on. Where the next share begins; 0 behind the last.
static size_t sweep_share(struct sweep *s, size_t from) {
  return map_each_of(&s->broker->channels, from, SWEEP_BUCKETS, sweep_channel, s);
}

// With the lock held: a share of a round, or the beginning of the next.
static void sweep_some(struct broker *b, double now) {
  if (!b->sweep_at && now < b->swept_from + SWEEP_SECONDS) return;
  if (!b->sweep_at) b->swept_from = now;
  b->sweep_at = sweep_share(&(struct sweep){.broker = b, .now = now}, b->sweep_at);
}

size_t broker_sweep(struct broker *b, double now) {
  struct sweep s = {.broker = b, .now = now, .is_pressed = true};
  size_t at = 0;
  do {
    lock_take(&b->lock);
    at = sweep_share(&s, at);
    lock_release(&b->lock);
  } while (at);
  return s.gone;
}

static bool is_stored(const struct broker *b, const struct channel_options *o) {
  return b->store && !o->in_memory && (o->history || !b->store_wants_history);
}

struct channel *broker_open(struct broker *b, struct span name, const struct channel_options *o, double now,
                            double wall, bool *created) {
  lock_take(&b->lock);
  sweep_some(b, now);
  struct map_node *node = map_find(&b->channels, name);
  struct channel *c = node ? channel_of(node) : NULL;
  *created = !c && b->channels.count < b->limits.channels;
  if (*created) {
    c = channel_new(b, name, o, (uint64_t)(wall * 1e6) + ++b->created, now);
    if (is_stored(b, o)) channel_keep_in(c, b->store);
    map_insert(&b->channels, &c->node);
  }
  if (c) channel_ref(c);
  lock_release(&b->lock);
  return c;
}

struct channel *broker_find(struct broker *b, struct span name) {
  lock_take(&b->lock);
  struct map_node *node = map_find(&b->channels, name);
  struct channel *c = node ? channel_ref(channel_of(node)) : NULL;
  lock_release(&b->lock);
  return c;
}

void broker_remove(struct broker *b, struct channel *c) {
  lock_take(&b->lock);
  broker_take_out(b, c);
  lock_release(&b->lock);
}

struct broker_counters broker_counters(struct broker *b) {
  lock_take(&b->lock);
  size_t channels = b->channels.count;
  lock_release(&b->lock);
  return (struct broker_counters){.channels = channels,
                                  .events = (size_t)atomic_load(&b->held.events),
                                  .bytes = (size_t)atomic_load(&b->held.bytes),
                                  .full_total = atomic_load(&b->full_total),
                                  .published_total = atomic_load(&b->published_total),
                                  .lost_total = atomic_load(&b->lost_total)};
}
