// SPDX-License-Identifier: MIT
// What a script has of a Redis server: its address, and on the loop, from its first use on, a connection for
// commands, one for subscriptions, and some for commands that block, each of which has one to itself. Worker
// thread only, but for making and dropping one.
#pragma once
#include <lauxlib.h>
#include "client/redis_cluster.h"
#include "client/redis_sentinel.h"
#include "script/held.h"

// A connection of one command at a time.
struct redis_line {
  struct list link; // of the handle's
  struct redis *redis;
  struct redis_handle *handle; // NULL: it has been closed
  bool is_taken;
};

struct redis_handle {
  struct held held;
  struct redis_address address;
  struct redis_options options;
  struct redis_feed_options feed_options;
  struct redis_cluster *cluster;   // of a cluster, in place of the two below
  struct redis_sentinel *sentinel; // who knows where the server is; NULL: the URL
  struct redis *redis;             // NULL: not used so far, or closed
  struct redis_feed *feed;         // likewise
  struct redis_home *home;         // of the loop; set at the first use
  struct list asked, listening;    // who waits for it, and who listens: closed with it
  struct list lines;
  size_t line_count, lines_max;
  bool is_closed;
};

// The handle at `index`; raises where it is none.
struct redis_handle *redis_handle_check(lua_State *L, int index);

// Gets its clients, on the loop. False: it is closed.
bool redis_handle_begin(struct redis_handle *h, struct redis_home *home);

// A connection for one command that blocks, to the server that has `key`; NULL: as many as may be are taken.
// Given back, or closed where the command is still under way.
struct redis_line *redis_line_take(struct redis_handle *h, struct span key);
void redis_line_give(struct redis_line *l, bool is_under_way);

// Closes what it has; who waits is told by `close` of theirs.
struct redis_user {
  struct list link; // in asked or listening
  void (*close)(struct redis_user *u);
};
void redis_handle_close(struct redis_handle *h);

// core.redis_open(config): a handle. Raises where the URL is none.
int redis_handle_open(lua_State *L);

// Registers the metatable with these methods.
void redis_handle_register(lua_State *L, const luaL_Reg *methods);
