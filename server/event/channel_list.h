// SPDX-License-Identifier: MIT
// The channels of a broker as rows of JSON, for who looks after the server. Any thread.
#pragma once
#include <stdbool.h>
#include "base/buf.h"

struct broker;

enum channel_order { CHANNELS_BY_NAME, CHANNELS_BY_SUBSCRIBERS, CHANNELS_BY_EVENTS, CHANNELS_BY_BYTES };

struct channel_query {
  enum channel_order order;
  bool is_reversed;       // the largest first is the order of numbers, A the first of names
  size_t skipped, rows;   // behind so many, at most so many
  struct span text, name; // in the name, or all of it; empty: any
};

// A line with how many match, then the rows, a line each: { "name", "state", "subscribers", "elsewhere",
// "members", "events", "bytes", "position", "seq", "history", "ttl", "queue", "on_full", "is_stored" }.
void channel_list(struct broker *b, const struct channel_query *q, struct buf *out);
