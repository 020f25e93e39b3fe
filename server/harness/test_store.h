// SPDX-License-Identifier: MIT
// A store for specs, which carries out nothing before it is told to: at once or late, by hand or from a
// thread of its own, or not at all. What it keeps it may admit out of order, and other nodes may publish into
// it.
#pragma once
#include <lua.h>
#include "event/broker.h"
#include "store/store.h"

struct test_store {
  struct store store;
  pthread_mutex_t lock;
  pthread_cond_t asked;
  struct list requests;  // not carried out yet, oldest first
  struct list kept;      // channels
  struct broker *broker; // whose channels it keeps
  const struct clock *clock;
  pthread_t thread;
  bool has_thread, is_stopping, is_open;
  struct buf told; // to others that share it, the last time
};

// Channels of the broker that are made from now on are kept in it.
void test_store_init(struct test_store *t, struct broker *b, const struct clock *clock);

// Answers what is asked and not carried out yet: unavailable.
void test_store_refuse(struct test_store *t);

// The same, and lets go of what is kept. Nobody asks any more.
void test_store_deinit(struct test_store *t);

// Events that it keeps.
size_t test_store_events(const struct test_store *t);

// Pushes what a spec handles the store by, and keeps the server at `owner` with it.
void test_store_push(lua_State *L, int owner, struct test_store *t);

// Registers the metatable of that.
void test_store_open(lua_State *L);
