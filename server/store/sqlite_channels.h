// SPDX-License-Identifier: MIT
// Those of a file's channels that were asked for last, with where they are. One thread.
#pragma once
#include "store/sqlite_channel.h"

struct sqlite_channels {
  struct map by_name;
  struct list used; // the one that was asked for longest ago first
  struct list over; // those of which more is kept than has to be
  size_t max;
};

void sqlite_channels_init(struct sqlite_channels *all, size_t max);

// Forgets them all: what is asked for next is read anew.
void sqlite_channels_clear(struct sqlite_channels *all);
void sqlite_channels_deinit(struct sqlite_channels *all);

// The channel of this name, borrowed until the next call; NULL where the file has failed.
struct sqlite_channel *sqlite_channels_get(struct sqlite_channels *all, struct sqlite_db *db,
                                           struct span name, double wall);

// Forgets one.
void sqlite_channels_drop(struct sqlite_channels *all, struct sqlite_channel *ch);
