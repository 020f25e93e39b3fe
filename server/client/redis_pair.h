// SPDX-License-Identifier: MIT
// The way of the store to Redis: commands, and what is published. To one server by two connections, which are
// of use only on the same master: both are asked for that. To a cluster by as many as that has nodes. And the
// server has the store's functions. The loop's thread only.
#pragma once
#include "client/redis_reach.h"
#include "client/redis_sentinel.h"

enum { PAIR_COMMANDS, PAIR_FEED, PAIR_SIDES };

struct redis_pair {
  struct redis *redis; // NULL: a cluster
  struct redis_feed *feed;
  struct redis_sentinel *sentinel; // NULL: the address says where
  struct redis_cluster *cluster;
  struct redis_reach reach; // of the cluster
  struct loop *loop;
  struct span library;
  char masters[PAIR_SIDES][64]; // replication ids; empty: not known
  struct redis_command load, info;
  bool is_told;
  double down_since;
};

// Connects. Address and library outlive it; `timeout` in seconds, of commands.
void redis_pair_init(struct redis_pair *p, struct redis_home *home, const struct redis_address *address,
                     struct span library, double timeout);
void redis_pair_deinit(struct redis_pair *p);

// redis_ask, of whoever has the key; key.bytes NULL: of any.
bool redis_pair_ask(struct redis_pair *p, struct redis_command *c, struct span key, int argc,
                    const char *const *argv, const size_t *lens);

// redis_subscribe.
bool redis_pair_subscribe(struct redis_pair *p, struct redis_subscription *s, enum redis_channel_kind kind,
                          struct span name);

// Whoever has the key has not the functions, as it says: it is given them, before what is asked next.
void redis_pair_load(struct redis_pair *p, struct span key);

// Says in the log that the server cannot be reached, once it has been so for a while, or is again.
void redis_pair_tell(struct redis_pair *p);
