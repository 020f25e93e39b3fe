// SPDX-License-Identifier: MIT
// All channels of the process by name, and the ceilings that they share. Any thread.
#pragma once
#include "event/channel.h"
#include "event/deflater.h"

struct broker_limits {
  size_t channels;  // at a time
  size_t bytes;     // of history, all channels together
  size_t inbox;     // bytes of events that wait for one worker
  size_t deflaters; // bytes of the windows of compressed streams
  int window_bits;  // of those that channels have
};

struct broker_counters {
  size_t channels, events, bytes, full_total, published_total, lost_total; // events: in histories
};

struct broker {
  pthread_mutex_t lock;
  struct map channels;
  struct broker_limits limits;
  struct store *store; // of channels that are made from now on; NULL: their events are kept in memory only
  bool store_wants_history; // only those that have a history are kept there
  struct history_total held;
  struct deflater_total deflaters; // of channels, and of streams of one reader
  atomic_ulong full_total, published_total, lost_total;
  uint64_t created;
  size_t sweep_at;   // the bucket that is looked at next; 0: a round is over
  double swept_from; // when the present round began
};

void broker_init(struct broker *b, struct broker_limits limits);

// Frees the channels that are left; nobody uses them any more.
void broker_deinit(struct broker *b);

// The channel of this name with a reference for the caller, made where there is none (*created tells); NULL
// where limits.channels is reached. `wall` is the time since 1970, for its epoch. It also looks at a share of
// the channels, no more than once a second at each, and lets go of those that nobody holds and that have no
// past.
struct channel *broker_open(struct broker *b, struct span name, const struct channel_options *o, double now,
                            double wall, bool *created);

// The same, NULL where there is none.
struct channel *broker_find(struct broker *b, struct span name);

// Takes a channel out, whatever it holds.
void broker_remove(struct broker *b, struct channel *c);

// Looks at all channels, in shares, which takes long where there are many. How many it has let go of.
size_t broker_sweep(struct broker *b, double now);

struct broker_counters broker_counters(struct broker *b);
