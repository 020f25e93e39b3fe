// SPDX-License-Identifier: MIT
// A subscription on its way out: from a channel into a stream, wholly in C, or into a queue that a task
// reads. Worker thread only.
#pragma once
#include "event/channel.h"
#include "serve/service.h"

struct stream;

struct feed {
  struct list held; // in its Lua state's list of what Lua holds
  struct subscriber subscriber;
  struct service *service;
  struct stream *stream; // where events go; NULL: into the queue
  struct event **queue;
  size_t first, count, cap; // cap is a power of two
  size_t queue_max;         // live events that may wait
  size_t replayed;          // events that may wait beside them
  enum on_full on_full;
  bool finished, lost; // nothing follows; it fell behind
  void (*on_news)(
      struct feed *f); // the queue has something, or finished or lost has changed; NULL: nobody reads
  struct list readers; // who waits for that; on_news's own
};

// Subscribes; what is to be replayed waits in the queue already.
struct feed *feed_new(struct service *service, struct channel *c, struct span after, long last);

// Unsubscribes and frees it; NULL is allowed. A feed in a stream is freed by the stream.
void feed_free(struct feed *f);

// Sends what waits and all that follows into an open stream, which takes the feed.
void feed_attach(struct feed *f, struct stream *s);

// The next event: borrowed, or as a reference for the caller; NULL where none waits.
struct event *feed_peek(const struct feed *f);
struct event *feed_take(struct feed *f);

// True where a subscriber would get nothing, now or later.
bool feed_is_over(const struct feed *f);
