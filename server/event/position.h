// SPDX-License-Identifier: MIT
// Where an event lies in its channel: the epoch in which it was numbered, and its number there. Both only
// rise; a new epoch begins where numbers may have been given twice. As text it is the event's id,
// <epoch>-<seq>.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/span.h"

enum { POSITION_TEXT_MAX = 48 };

struct position {
  uint64_t epoch, seq; // seq 0: before the epoch's first event
};

static inline bool position_is_after(struct position a, struct position b) {
  return a.epoch == b.epoch ? a.seq > b.seq : a.epoch > b.epoch;
}

static inline bool position_equals(struct position a, struct position b) {
  return a.epoch == b.epoch && a.seq == b.seq;
}

// Writes the id. The number of bytes, without the NUL behind them.
size_t position_write(struct position p, char id[POSITION_TEXT_MAX]);

// Reads an id that position_write has written; false for any other text.
bool position_read(struct span id, struct position *p);
