// SPDX-License-Identifier: MIT
// What waits is bounded by number and, with all that waits for the worker, by bytes. Only the worker's thread
// touches the list of subscribers, so that the fan-out runs unlocked.
#include "event/outlet.h"
#include <stdlib.h>
#include "base/mem.h"

enum { PENDING_MAX = 65536 };

struct outlet *outlet_new(struct channel *c, struct inbox *inbox, void (*deliver)(struct message *m)) {
  struct outlet *o = xmalloc(sizeof *o);
  *o = (struct outlet){.message = {.deliver = deliver}, .channel = c, .inbox = inbox};
  list_init(&o->subscribers);
  return o;
}

void outlet_free(struct outlet *o) {
  free(o->pending);
  free(o);
}

static void drop_all(struct outlet *o, enum outlet_loss loss) {
  for (size_t i = 0; i < o->pending_count; i++) event_unref(o->pending[i]);
  atomic_fetch_sub(&o->inbox->bytes, o->pending_bytes);
  o->pending_count = o->pending_bytes = 0;
  o->loss = loss;
}

void outlet_break(struct outlet *o) { drop_all(o, OUTLET_BROKEN); }

static bool is_outlet_full(const struct outlet *o, const struct event *e, size_t bytes_max) {
  size_t waiting = atomic_load_explicit(&o->inbox->bytes, memory_order_relaxed);
  return o->pending_count >= PENDING_MAX || (waiting && waiting + e->len > bytes_max);
}

bool outlet_leave(struct outlet *o, struct event *e, size_t bytes_max) {
  if (o->loss) return true;
  if (is_outlet_full(o, e, bytes_max)) {
    drop_all(o, OUTLET_LATE);
    return false;
  }
  atomic_fetch_add_explicit(&o->inbox->bytes, e->len, memory_order_relaxed);
  o->pending_bytes += e->len;
  if (o->pending_count == o->pending_cap) {
    o->pending_cap = o->pending_cap ? o->pending_cap * 2 : 8;
    o->pending = xrealloc(o->pending, o->pending_cap * sizeof *o->pending);
  }
  o->pending[o->pending_count++] = event_ref(e);
  return true;
}

struct delivery outlet_take(struct outlet *o, bool finished) {
  struct delivery d = {o->pending, o->pending_count, o->loss, finished};
  atomic_fetch_sub(&o->inbox->bytes, o->pending_bytes);
  o->pending = NULL;
  o->pending_count = o->pending_cap = o->pending_bytes = 0;
  o->posted = false, o->loss = OUTLET_WHOLE;
  return d;
}

static void hand_out(struct subscriber *s, const struct delivery *d) {
  if (d->loss) {
    (d->loss == OUTLET_LATE ? s->ops->on_lost : s->ops->on_broken)(s);
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
void outlet_hand_out(struct outlet *o, struct delivery *d) {
  struct list left;
  list_init(&left);
  list_splice(&left, &o->subscribers);
  for (struct list *node; (node = list_shift(&left));) {
    list_append(&o->subscribers, node);
    hand_out(container_of(node, struct subscriber, link), d);
  }
  for (size_t i = 0; i < d->count; i++) event_unref(d->events[i]);
  free(d->events);
}
