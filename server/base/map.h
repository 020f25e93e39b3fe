// SPDX-License-Identifier: MIT
// A hash map from byte strings to what embeds its nodes. It owns no key: a node's name points into its owner.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/span.h"

struct map_node {
  struct map_node *next;
  struct span name;
  uint64_t hash;
};

struct map {
  struct map_node **buckets;
  size_t count, size;
  uint64_t seed; // so that nobody can choose names that collide
};

// An empty map.
void map_init(struct map *m, uint64_t seed);

// A seed that nobody can guess, from the kernel; where that has none yet, `place` is one.
uint64_t map_seed(const void *place);
void map_deinit(struct map *m);

// The node of this name, borrowed; NULL where there is none.
struct map_node *map_find(const struct map *m, struct span name);

// Puts a node in under node->name, which must not be in the map.
void map_insert(struct map *m, struct map_node *node);

// Takes a node of this map out.
void map_remove(struct map *m, struct map_node *node);

// Calls fn for each node; fn may remove the one it is given.
void map_each(struct map *m, void (*fn)(struct map_node *node, void *arg), void *arg);

// The same in shares: for the nodes of `n` buckets from `bucket` on; the bucket to go on with, 0 at the end.
// Nodes that stay in the map meanwhile are all met.
size_t map_each_of(struct map *m, size_t bucket, size_t n, void (*fn)(struct map_node *node, void *arg),
                   void *arg);

// A 64-bit hash of the bytes.
uint64_t hash_bytes(struct span s, uint64_t seed);
