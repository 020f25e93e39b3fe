// SPDX-License-Identifier: MIT
// What waits to leave by a stream: references to events, the first of them with the transport. Worker thread
// only.
#pragma once
#include "event/event.h"
#include "http/proto.h"

struct outq;

// What events become as they leave: `form` takes the reference to one and returns one to another. Asked in
// their order, when nothing can drop them any more.
struct former {
  struct event *(*form)(struct former *f, struct event *e);
};

struct event_queue {
  struct event **events; // `few`, or allocated where more wait
  struct event *few[2];
  uint32_t count, cap;
  size_t left;      // bytes of the first that are gone
  size_t in_flight; // bytes behind these that the transport has
  size_t bytes;     // that are not gone
};

// Ready and empty: `few` is in it, so it stays where it is.
void event_queue_init(struct event_queue *q);
void event_queue_deinit(struct event_queue *q);

// Adds an event (takes the reference). Here as below `framing` says which bytes of it count.
void event_queue_push(struct event_queue *q, enum framing framing, struct event *e);

// How many events the transport has nothing of yet.
size_t event_queue_waiting(const struct event_queue *q, enum framing framing);

// Takes out a channel's oldest event, or its newest with this one's key, of those of which nothing is with
// the transport. False where there is none.
bool event_queue_drop_oldest(struct event_queue *q, enum framing framing);
bool event_queue_conflate(struct event_queue *q, enum framing framing, const struct event *e);

// Puts at most `max` bytes that the transport does not have yet into `out`, of events as `former` (NULL: as
// they are) makes them; heads and ends of bodies stay what they are. How many.
size_t event_queue_take(struct event_queue *q, enum framing framing, size_t max, struct outq *out,
                        struct former *former);

// So many bytes at most are gone, and the events that went with them: how many of these were the queue's.
size_t event_queue_leave(struct event_queue *q, enum framing framing, size_t len);
