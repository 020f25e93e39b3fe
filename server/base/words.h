// SPDX-License-Identifier: MIT
// Words of any bytes, one behind the other in one buffer. The limit on what may grow in it is its user's.
#pragma once
#include "base/buf.h"

struct words {
  struct buf bytes;
  size_t *ends, count, cap;
};

// Appends a word; or makes one of what was appended to `bytes` since the last.
void words_add(struct words *w, struct span word);
void words_end(struct words *w);

// The i-th, borrowed until the next change; {0} where there are fewer.
struct span words_at(const struct words *w, size_t i);

// Frees them; there are none afterwards.
void words_deinit(struct words *w);
