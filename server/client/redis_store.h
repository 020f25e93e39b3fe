// SPDX-License-Identifier: MIT
// The store on a Redis server (7.0 or later, or Valkey), which several processes share: that server numbers,
// keeps and publishes an event in one step, and every process admits what it hears, its own as well. A thread
// with a loop of its own has the two connections: it reads and admits whatever the workers are busy with, and
// none of them waits for it.
#pragma once
#include "base/clock.h"
#include "event/broker.h"
#include "store/store.h"

struct redis_store;

struct redis_store_config {
  const char *url;     // as client/redis_address.h says, with the options prefix= and timeout= (seconds)
  struct span library; // redis_library.lua
  struct broker *broker;
  struct store_listener *listener; // NULL: nobody listens
  const struct clock *clock;
};

// Whether a store's URL is one of Redis, right or wrong.
bool redis_store_knows(const char *url);

// Whether such a URL is right; else `why` says what is wrong with it, without its password.
enum { REDIS_STORE_WHY_MAX = 128 };
bool redis_store_judge(const char *url, char why[REDIS_STORE_WHY_MAX]);

// Nothing is connected yet. NULL where the URL is none, and why in *error (the caller's). The broker's
// channels that are made from now on are kept there.
struct redis_store *redis_store_new(const struct redis_store_config *config, char **error);

// What channels have of it, borrowed.
struct store *redis_store_base(struct redis_store *s);

// Has a thread carry out what is asked; without one redis_store_poll does. False where there can be none.
bool redis_store_start(struct redis_store *s);

// What the connections and other threads have within so many seconds of the machine's clock. For specs.
void redis_store_poll(struct redis_store *s, double seconds);

// What is not answered yet. Any thread.
size_t redis_store_waiting(struct redis_store *s);

// Ends the thread; what waits is unavailable. Harmless when done twice. Any thread but its own.
void redis_store_stop(struct redis_store *s);

// Frees it, stopped; nobody asks any more.
void redis_store_free(struct redis_store *s);
