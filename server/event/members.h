// SPDX-License-Identifier: MIT
// Who is present in a channel: each id once, in the order in which they came, however often it has joined.
// Not thread-safe: the channel's lock is.
#pragma once
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"

struct members {
  struct map by_id;
  struct list in_order;
  size_t count;
};

void members_init(struct members *m, uint64_t seed);
void members_deinit(struct members *m);

// True where the id is new; else what it has brought along is what it had before. `meta`: JSON.
bool members_join(struct members *m, struct span id, struct span meta);

// True where that was the last time that it had joined.
bool members_leave(struct members *m, struct span id);

// Appends each id and meta as NUL-terminated texts.
void members_list(const struct members *m, struct buf *out);
