// SPDX-License-Identifier: MIT
// What channels have asked the store on Redis for, from the taking of a request to its answer: on its way to
// the server, or waiting for its channel. The store's thread only.
#pragma once
#include "client/redis_follow.h"

struct redis_asks {
  struct redis_follows follows;
  struct list list; // in the order of their deadlines
  size_t count;
  double timeout;                              // seconds
  struct store_counters *counters;             // of the store
  void (*on_answered)(struct redis_asks *all); // one of them has been
};

// `follows`, and the last two, are for its owner to set.
void redis_asks_init(struct redis_asks *all, double timeout);

// Carries out a request.
void redis_ask_store(struct redis_asks *all, struct store_request *r);

// Of follows: a request's channel is there, or as far.
void redis_asks_ready(struct redis_waiting *w);

// Those whose time is over, and what channels have to do from time to time.
void redis_asks_tick(struct redis_asks *all);

// All are unavailable.
void redis_asks_refuse(struct redis_asks *all);
