// SPDX-License-Identifier: MIT
// Which keys of a dictionary have changed since its keeper took them, each once. Not thread-safe: the
// dictionary's lock is.
#pragma once
#include "base/list.h"
#include "base/map.h"
#include "event/shared_value.h"

// What became of a key: its value, copied, SHARED_NIL where it has none.
struct shared_change {
  struct list link;
  struct span dictionary, key; // in `texts`
  struct shared_value value;   // its string as well
  double deadline;             // INFINITY: it stays
  char texts[];
};

struct shared_changes {
  struct map keys;
};

void shared_changes_init(struct shared_changes *c, uint64_t seed);
void shared_changes_deinit(struct shared_changes *c);

// The bytes that a key is counted with.
size_t shared_changes_cost(size_t key_len);

// Notes a key; false where it is noted already.
bool shared_changes_add(struct shared_changes *c, struct span key);

// Forgets a key by its node in `keys`.
void shared_changes_drop(struct shared_changes *c, struct map_node *node);

// A change of the key to that value (NULL: it has none any more), which the caller frees.
struct shared_change *shared_change_new(struct span dictionary, struct span key, const struct shared_value *v,
                                        double deadline);
void shared_change_free(struct shared_change *c);
