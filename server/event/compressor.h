// SPDX-License-Identifier: MIT
// A channel's deflate stream, which all its compressed subscribers share: events have places in it, in the
// order in which they are admitted, and each is made into blocks once. Counted.
#pragma once
#include <pthread.h>
#include "event/deflater.h"

struct compressor {
  atomic_uint refs;
  atomic_uint watchers; // streams that want its blocks; without any, what is admitted has no place
  struct deflater_total *total;
  int window_bits;
  uint64_t pos; // of the next event; behind the channel's lock, as is
  uint32_t crc; // of all before it
  pthread_mutex_t lock;
  struct deflater *deflater; // NULL: nobody needs it, or there is no room; behind the lock, as are
  uint64_t next;             // up to here events have been made into blocks, or left out
  uint64_t started_at;       // what the deflater was given first
};

// For a channel, with one reference.
struct compressor *compressor_new(int window_bits, struct deflater_total *total);
struct compressor *compressor_ref(struct compressor *c);
void compressor_unref(struct compressor *c); // NULL is allowed

// One stream more wants its blocks; or one less: the last gives the window back. Any thread.
void compressor_watch(struct compressor *c);
void compressor_leave(struct compressor *c);

// Gives the window back where it has not been used for a while. Any thread.
void compressor_rest(struct compressor *c, double now);

// With its lock held: appends to `out` the blocks of the event at `pos`, and says before which place they
// refer to nothing. False where it cannot: it has gone past that event, or has no room, or the event is too
// long; or it would have to leave out events before it, which it does only where it `may_skip`.
bool compressor_add(struct compressor *c, uint64_t pos, struct span bytes, bool may_skip, double now,
                    struct buf *out, uint64_t *floor);
