// SPDX-License-Identifier: MIT
// The nodes of a Redis Cluster: which has a key's slot, as they say themselves. A command goes to its node,
// and where the slot has moved (MOVED, ASK) to the one that has it now; a subscription likewise, while it
// lasts. The loop's thread only.
#pragma once
#include "client/redis.h"
#include "client/redis_feed.h"

struct redis_cluster;

// Of an address of REDIS_CLUSTER, which outlives it; its hosts are asked for the others.
struct redis_cluster *redis_cluster_new(struct redis_home *home, const struct redis_address *address,
                                        const struct redis_options *options,
                                        const struct redis_feed_options *feed_options);

// Frees it, its clients and feeds; who waits is not told. Subscriptions have ended before.
void redis_cluster_free(struct redis_cluster *c);

// The slot of a key: of what is between the first { and the next }, where there is something.
unsigned redis_slot(struct span key);

// As redis_ask_formatted, of the node that has `key`; key.bytes NULL: of any. redis_leave leaves it.
bool redis_cluster_ask(struct redis_cluster *c, struct redis_command *command, struct span key,
                       struct span bytes, unsigned prefix);

// Where any node will do another than the one at `place`, which is compared only, is asked from now on.
void redis_cluster_pass_over(struct redis_cluster *c, const struct redis_host *place);

// Asks for the map soon.
void redis_cluster_refresh(struct redis_cluster *c);

// As redis_subscribe; REDIS_SHARD by the slot of its name. redis_unsubscribe ends it.
bool redis_cluster_subscribe(struct redis_cluster *c, struct redis_subscription *s,
                             enum redis_channel_kind kind, struct span name);

// Where the key is, as far as is known: for who makes a connection of his own. Borrowed until the next turn.
const struct redis_host *redis_cluster_place(struct redis_cluster *c, struct span key);

// Notes what an answer's message says of where a slot is; false where it says nothing of that.
bool redis_cluster_learn(struct redis_cluster *c, const char *message);
