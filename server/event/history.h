// SPDX-License-Identifier: MIT
// A channel's past: its newest events, bounded by number, bytes and age. Not thread-safe: the channel's lock
// is.
#pragma once
#include "event/event.h"

// What all histories of a process hold.
struct history_total {
  atomic_long bytes, events;
};

struct history {
  struct history_total *total;
  struct past {
    struct event *event;
    double at; // seconds of the monotonic clock
  } * ring;
  size_t cap, first, count; // cap is a power of two
  size_t max, bytes_max;    // 0: no history; 0: any number of bytes
  double ttl;               // seconds; 0: any age
  size_t bytes;
  struct position dropped; // of the newest event that it has let go of, or never had
};

void history_init(struct history *h, size_t max, size_t bytes_max, double ttl, struct history_total *total);
void history_deinit(struct history *h);

// Takes a reference to the event and drops what is too much or too old.
void history_add(struct history *h, struct event *e, double now);

// Drops what is too old; the oldest; all.
void history_expire(struct history *h, double now);
void history_drop_first(struct history *h);
void history_clear(struct history *h);

// The i-th oldest event, borrowed.
struct event *history_at(const struct history *h, size_t i);

// How many events are newer than the position, all of which it still holds; -1 where some of them are gone,
// or where nothing has ever been at that position.
long history_after(const struct history *h, struct position p);

// Where the event directly before the one at the position is. Where it does not hold that one, the number
// before it, which is so within an epoch.
struct position history_before(const struct history *h, struct position p);
