// SPDX-License-Identifier: MIT
// The library limits streams that a client resets, continued heads and answers that it does not read. What
// it does not limit is counted here: streams that the client has us reset, and frames that bring nothing
// further, whose answers it reads. Window updates are many where streams are many: a client sends two per
// frame of data at most, so what it is sent is counted in its favour: by the frame where that has all that
// there was, as an event has, and by the byte where the client's window has cut it.
#include "http/http2_limits.h"
#include "base/util.h"

static const double BYTES_PER_FRAME = 32, UPDATES_PER_FRAME = 2;

bool http2_spend(struct http2_bucket *b, double cost, size_t burst, double now) {
  double leaked = (now - b->at) * (double)burst / 10;
  b->level = MAX(b->level - leaked, 0.0) + cost;
  b->at = now;
  return b->level <= (double)burst;
}

void http2_earn(struct http2_bucket *b, size_t bytes, size_t whole) {
  b->level = MAX(b->level - (double)bytes / BYTES_PER_FRAME - (double)whole * UPDATES_PER_FRAME, 0.0);
}
