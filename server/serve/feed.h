// SPDX-License-Identifier: MIT
// A subscription on its way out: from a channel into a stream, wholly in C, or into a queue that a task
// reads. Worker thread only.
#pragma once
#include "event/channel.h"
#include "serve/stream.h"

enum feed_state {
  FEED_REPLAYING, // what it has missed is read from the channel's store, page by page; what comes waits in
                  // history
  FEED_QUEUED,    // events wait in its queue for a task that reads it, or for a stream
  FEED_STREAMED,  // they go into its stream
  FEED_FINISHED,  // its channel has ended: what waits is the rest
  FEED_LOST,      // it fell behind: what waits is incomplete
  FEED_CUT_OFF,   // the store does not answer: likewise
  FEED_BROKEN     // the store has lost what follows
};

// Who reads a feed's queue, for as long as it waits for news.
struct feed_reader {
  void (*on_news)(struct feed_reader *r); // the queue has something, or the state has changed; only links
};

struct feed {
  struct stream_source source; // of FEED_STREAMED
  struct list held;            // in its Lua state's list of what Lua reads
  struct subscriber subscriber;
  struct service *service;
  union {
    struct stream *stream;  // of FEED_STREAMED
    struct page *page;      // of FEED_REPLAYING: it waits for this, or has got it and waits for a reader
    struct event *farewell; // where is_kicked: what its clients would have been told
  };
  struct event **queue;
  uint32_t first, count, cap; // cap is a power of two
  uint32_t queue_max;         // live events that may wait
  uint32_t beside;            // that may beside them: replayed, or come before their reader had its turn
  uint8_t on_full;            // enum on_full
  uint8_t state;              // enum feed_state
  uint8_t in_vain;            // pages in a row without an event
  bool is_awaited : 1;        // a reader had all and has not run since
  bool is_kicked : 1;         // FEED_FINISHED, and not by its channel
  size_t queued_bytes;
  size_t bytes_beside;        // of those beside
  struct feed_reader *reader; // told of the next news, once; NULL: nobody waits
};

// Subscribes; what is to be replayed waits in the queue already.
struct feed *feed_new(struct service *service, struct channel *c, struct span after, long last);

// Unsubscribes and frees it, once readers have been told; NULL is allowed. A feed in a stream is freed by the
// stream.
void feed_free(struct feed *f);

// Subscribed to nothing from now on: nothing comes any more.
void feed_stop(struct feed *f);

// Sends what waits and all that follows into an open stream, which takes the feed; readers are told. The
// stream is cut where the feed has fallen behind. Not while it is FEED_REPLAYING.
void feed_attach(struct feed *f, struct stream *s);

// Ends it as stream_kick does; for a task that reads it the channel ends behind what waits, and the event
// (borrowed) is its farewell. False where it was over.
bool feed_kick(struct feed *f, struct event *last);

// The feed that subscribes by this.
static inline struct feed *feed_of(struct subscriber *s) { return container_of(s, struct feed, subscriber); }

// A reader has all there is and is told of what comes next. It lives until then, or until the feed is freed.
void feed_await(struct feed *f, struct feed_reader *reader);

// Who has awaited it, or was told, will not take what comes: all of that counts from now on.
void feed_forgo_turn(struct feed *f);

// Tells the reader that waits, if any; it is forgotten.
void feed_tell_reader(struct feed *f);

// How many live events may wait.
void feed_set_queue(struct feed *f, size_t max);

// The next event: borrowed, or as a reference for the caller; NULL where none waits.
struct event *feed_peek(const struct feed *f);
struct event *feed_take(struct feed *f);

// Its channel, borrowed; NULL where it has none any more.
struct channel *feed_channel(const struct feed *f);

// True where a subscriber would get nothing, now or later.
bool feed_is_over(const struct feed *f);
