// SPDX-License-Identifier: MIT
// What the transport has stays at the front until it is gone; all behind that may still be dropped.
#include "serve/event_queue.h"
#include <stdlib.h>
#include "base/mem.h"
#include "loop/transport.h"

void event_queue_init(struct event_queue *q) {
  *q = (struct event_queue){.cap = countof(q->few)};
  q->events = q->few;
}

void event_queue_deinit(struct event_queue *q) {
  for (uint32_t i = 0; i < q->count; i++) event_unref(q->events[i]);
  if (q->events != q->few) free(q->events);
}

// An event's bytes with the chunk's frame, or bare.
static struct iovec slice_of(enum framing framing, struct event *e) {
  if (framing == FRAMING_CHUNKED) return (struct iovec){e->bytes, e->len};
  return (struct iovec){e->bytes + e->bare_at, event_bare_len(e)};
}

static void event_queue_grow(struct event_queue *q) {
  q->cap *= 2;
  struct event **old = q->events == q->few ? NULL : q->events;
  q->events = xrealloc(old, q->cap * sizeof *q->events);
  if (!old) memcpy(q->events, q->few, sizeof q->few);
}

void event_queue_push(struct event_queue *q, enum framing framing, struct event *e) {
  if (q->count == q->cap) event_queue_grow(q);
  q->events[q->count++] = e;
  q->bytes += slice_of(framing, e).iov_len;
}

static uint32_t first_whole(const struct event_queue *q, enum framing framing) {
  size_t begun = q->left + q->in_flight;
  uint32_t i = 0;
  for (; i < q->count && begun; i++) begun -= MIN(begun, slice_of(framing, q->events[i]).iov_len);
  return i;
}

size_t event_queue_waiting(const struct event_queue *q, enum framing framing) {
  return q->count - first_whole(q, framing);
}

static void queue_take_out(struct event_queue *q, enum framing framing, uint32_t at) {
  q->bytes -= slice_of(framing, q->events[at]).iov_len;
  event_unref(q->events[at]);
  q->count--;
  memmove(q->events + at, q->events + at + 1, (q->count - at) * sizeof *q->events);
}

bool event_queue_drop_oldest(struct event_queue *q, enum framing framing) {
  for (uint32_t i = first_whole(q, framing); i < q->count; i++) {
    if (!q->events[i]->seq) continue; // the head, a comment
    queue_take_out(q, framing, i);
    return true;
  }
  return false;
}

bool event_queue_conflate(struct event_queue *q, enum framing framing, const struct event *e) {
  for (uint32_t i = q->count, first = first_whole(q, framing); i-- > first;) {
    if (!q->events[i]->seq || q->events[i]->key != e->key) continue;
    queue_take_out(q, framing, i);
    return true;
  }
  return false;
}

// An event of which nothing has left.
static void event_queue_form(struct event_queue *q, enum framing framing, uint32_t at,
                             struct former *former) {
  struct event *e = q->events[at];
  if (!e->bare_at) return; // a head, or a chunk's end
  q->bytes -= slice_of(framing, e).iov_len;
  q->events[at] = former->form(former, e);
  q->bytes += slice_of(framing, q->events[at]).iov_len;
}

size_t event_queue_take(struct event_queue *q, enum framing framing, size_t max, struct outq *out,
                        struct former *former) {
  size_t skip = q->left + q->in_flight, taken = 0;
  uint32_t i = 0;
  for (; i < q->count && out->count < OUTQ_MAX && taken < max; i++) {
    if (former && !skip) event_queue_form(q, framing, i, former);
    struct iovec v = slice_of(framing, q->events[i]);
    if (skip >= v.iov_len) {
      skip -= v.iov_len;
      continue;
    }
    v.iov_base = (char *)v.iov_base + skip;
    v.iov_len = MIN(v.iov_len - skip, max - taken);
    skip = 0, taken += v.iov_len;
    out->iov[out->count++] = v;
  }
  out->len += taken, q->in_flight += taken;
  out->has_more |= i < q->count;
  return taken;
}

// The array itself goes back with the last event of a burst.
static void remove_front(struct event_queue *q, uint32_t n) {
  q->count -= n;
  if (q->count) memmove(q->events, q->events + n, q->count * sizeof *q->events);
  if (q->count || q->events == q->few) return;
  free(q->events);
  q->events = q->few, q->cap = countof(q->few);
}

size_t event_queue_leave(struct event_queue *q, enum framing framing, size_t len) {
  size_t gone = MIN(len, q->in_flight), left = q->left + gone;
  uint32_t n = 0;
  for (size_t event_len; n < q->count; left -= event_len) {
    event_len = slice_of(framing, q->events[n]).iov_len;
    if (left < event_len) break;
    event_unref(q->events[n++]);
  }
  q->left = left, q->in_flight -= gone, q->bytes -= gone;
  if (n) remove_front(q, n);
  return gone;
}
