// SPDX-License-Identifier: MIT
// Events lie in the order of their numbers, so a look-up is a binary search: it costs the same whatever a
// client claims to have seen.
#include "event/history.h"
#include <stdlib.h>
#include "base/mem.h"

void history_init(struct history *h, size_t max, size_t bytes_max, double ttl, struct history_total *total) {
  *h = (struct history){.total = total, .max = max, .bytes_max = bytes_max, .ttl = ttl};
}

static struct past *place(const struct history *h, size_t i) {
  return &h->ring[(h->first + i) & (h->cap - 1)];
}

static void drop_first(struct history *h) {
  struct past *p = place(h, 0);
  h->bytes -= p->event->len;
  h->dropped = event_position(p->event);
  event_unref(p->event);
  h->first = (h->first + 1) & (h->cap - 1);
  h->count--;
}

// Tells the total what has changed since there were so many.
static void history_settle(const struct history *h, size_t bytes, size_t count) {
  if (h->bytes != bytes) atomic_fetch_add(&h->total->bytes, (long)h->bytes - (long)bytes);
  if (h->count != count) atomic_fetch_add(&h->total->events, (long)h->count - (long)count);
}

static void history_grow(struct history *h) {
  size_t cap = h->cap ? h->cap * 2 : 4;
  struct past *ring = xmalloc(cap * sizeof *ring);
  for (size_t i = 0; i < h->count; i++) ring[i] = *place(h, i);
  free(h->ring);
  h->ring = ring, h->cap = cap, h->first = 0;
}

static void expire(struct history *h, double now) {
  while (h->ttl > 0 && h->count && place(h, 0)->at + h->ttl <= now) drop_first(h);
}

void history_expire(struct history *h, double now) {
  size_t bytes = h->bytes, count = h->count;
  expire(h, now);
  history_settle(h, bytes, count);
}

void history_drop_first(struct history *h) {
  size_t bytes = h->bytes, count = h->count;
  drop_first(h);
  history_settle(h, bytes, count);
}

void history_clear(struct history *h) {
  size_t bytes = h->bytes, count = h->count;
  while (h->count) drop_first(h);
  history_settle(h, bytes, count);
}

void history_deinit(struct history *h) {
  history_clear(h);
  free(h->ring);
}

static void history_append(struct history *h, struct event *e, double now) {
  if (h->count == h->cap) history_grow(h);
  *place(h, h->count++) = (struct past){.event = event_ref(e), .at = now};
  h->bytes += e->len;
}

void history_add(struct history *h, struct event *e, double now) {
  size_t bytes = h->bytes, count = h->count;
  bool fits = h->max && (!h->bytes_max || e->len <= h->bytes_max);
  expire(h, now);
  while (h->count && (h->count >= h->max || (h->bytes_max && h->bytes + e->len > h->bytes_max)))
    drop_first(h);
  if (fits) history_append(h, e, now);
  else h->dropped = event_position(e);
  history_settle(h, bytes, count);
}

struct event *history_at(const struct history *h, size_t i) {
  return place(h, i)->event;
}

// Where the event directly before the i-th is.
static struct position position_before(const struct history *h, size_t i) {
  return i ? event_position(history_at(h, i - 1)) : h->dropped;
}

// How many events are not after the position.
static size_t history_up_to(const struct history *h, struct position p) {
  size_t low = 0, high = h->count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (position_is_after(event_position(history_at(h, middle)), p)) high = middle;
    else low = middle + 1;
  }
  return low;
}

struct position history_before(const struct history *h, struct position p) {
  size_t i = history_up_to(h, p);
  if (i && position_equals(event_position(history_at(h, i - 1)), p)) return position_before(h, i - 1);
  return (struct position){p.epoch, p.seq - 1};
}

long history_after(const struct history *h, struct position p) {
  size_t i = history_up_to(h, p);
  struct position before = position_before(h, i);
  bool ends_epoch = i < h->count && history_at(h, i)->epoch != p.epoch;
  if (before.epoch != p.epoch || before.seq > p.seq || (ends_epoch && before.seq != p.seq)) return -1;
  return (long)(h->count - i);
}
