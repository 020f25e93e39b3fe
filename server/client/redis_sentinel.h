// SPDX-License-Identifier: MIT
// Where the master of a name is, as sentinels know it: asked before each connection, one sentinel after
// another. The loop's thread only.
#pragma once
#include "client/redis.h"

struct redis_sentinel;

// Of an address of REDIS_SENTINEL, which outlives it.
struct redis_sentinel *redis_sentinel_new(struct redis_home *home, const struct redis_address *address);

// Frees it, behind the links that it locates for.
void redis_sentinel_free(struct redis_sentinel *s);

// For redis_set_locator and redis_feed_set_locator; borrowed.
struct redis_locator *redis_sentinel_locator(struct redis_sentinel *s);
