// SPDX-License-Identifier: MIT
// The sends of a turn, handed to the kernel by one call (io_uring). Whoever flushes many connections opens
// it, and closes it behind the last; sends to sockets are collected between the two. The loop's thread only.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "loop/ring.h"

// Below so many a batch costs more than it saves.
enum { BATCH_MIN = 4 };

// Embedded in who sends.
struct batched {
  uint16_t place; // in the batch, from 1; 0: it has nothing there
};

// What has become of a send. The pieces are borrowed.
struct batch_outcome {
  ssize_t sent; // bytes that have left, 0 where there is no room; or -1: nothing will
  struct iovec *iov;
  int count;
  size_t len; // of all of it
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
  bool is_open;
  unsigned count, pieces;
  double closed_until; // where a ring has failed: no other before
  uint64_t batches_total, sends_total;
  int results[RING_SENDS_MAX];
  struct batch_send sends[RING_SENDS_MAX];
  struct iovec iov[BATCH_PIECES_MAX];
};

// NULL where the kernel, the system or the build has no io_uring; `*why` then says it, static.
struct batch *batch_new(const char **why);
void batch_free(struct batch *b); // NULL: nothing to do

// Has sends be collected from now on. `now`: seconds of the loop's clock.
void batch_open(struct batch *b, double now);

// Sends what has been collected, then tells each; who is told may send again, which is at once, or close.
void batch_close(struct batch *b, double now);

static inline bool batch_is_open(const struct batch *b) { return b && b->is_open; }

// Takes a send where the batch is open: its pieces are copied, what is in them stays as it is until
// on_done. False where it is to be sent by the caller: the batch is none, is closed, or has no room.
bool batch_send(struct batch *b, struct batched *who, int fd, const struct iovec *iov, int count, size_t len,
                void (*on_done)(struct batched *who, const struct batch_outcome *outcome));

// For who is about to close: it is not told any more. What it has there leaves first, as far as there is
// room.
void batch_withdraw(struct batch *b, struct batched *who);
