// SPDX-License-Identifier: MIT
// The sends of a turn, handed to the kernel by one call (io_uring). Whoever flushes many connections opens
// it, and closes it behind the last; what these send is collected between the two. The loop's thread only.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "loop/ring.h"

// Below so many a batch costs more than it saves.
enum { BATCH_MIN = 3 };

// Embedded in who sends.
struct batched {
  uint16_t place; // in the batch, from 1; 0: it has nothing there
};

// Copying so many into the kernel takes about a millisecond.
enum { BATCH_BYTES_MAX = 4 << 20 };

// What has become of a send. The pieces are borrowed.
struct batch_outcome {
  struct iovec *iov;
  size_t len;   // of all of it
  ssize_t sent; // bytes that have left, 0 where there is no room; or -1: nothing will
  int count;
};

struct batch_send {
  struct batched *who; // NULL: nobody waits for it any more
  void (*on_done)(struct batched *who, const struct batch_outcome *outcome);
  struct batch_outcome send;
  int fd;
};

enum { BATCH_PIECES_MAX = 4 * RING_SENDS_MAX };

// The space for a turn's sends is the batch's own, and touched as far as they go.
struct batch {
  struct ring *ring; // NULL: everything is sent at once
  bool is_of_memory; // nothing is sent; who joins is told of the end
  bool is_open;
  bool has_told; // that a ring has failed
  unsigned count, pieces;
  size_t bytes;
  double closed_until; // where a ring has failed: no other before
  int results[RING_SENDS_MAX];
  struct batch_send sends[RING_SENDS_MAX];
  struct iovec iov[BATCH_PIECES_MAX];
};

// NULL where the kernel, the system or the build has no io_uring; `*why` then says it, static.
struct batch *batch_new(const char **why);

// One without a kernel, for transports in memory, which take it from there.
struct batch *batch_new_of_memory(void);
void batch_free(struct batch *b); // NULL: nothing to do

// Has sends be collected from now on. `now`: seconds of the loop's clock.
void batch_open(struct batch *b, double now);

// Sends what has been collected, then tells each; who is told may send again, which is at once, or close.
// How many the call has taken.
unsigned batch_close(struct batch *b, double now);

// Whether so many sends are better made together.
static inline bool batch_pays(const struct batch *b, unsigned sends) {
  return b && sends >= (b->is_of_memory ? 1 : BATCH_MIN);
}

static inline bool batch_is_open(const struct batch *b) { return b && b->is_open; }

// Takes a send where the batch is open: its pieces are copied, what is in them stays as it is until
// on_done. False where it is to be sent by the caller: the batch is none, is closed, or has no room.
bool batch_send(struct batch *b, struct batched *who, int fd, const struct iovec *iov, int count, size_t len,
                void (*on_done)(struct batched *who, const struct batch_outcome *outcome));

// The same without anything to send, in one of memory.
bool batch_join(struct batch *b, struct batched *who,
                void (*on_done)(struct batched *who, const struct batch_outcome *outcome));

// For who is about to close: it is not told any more. What it has there leaves first, as far as there is
// room.
void batch_withdraw(struct batch *b, struct batched *who);
