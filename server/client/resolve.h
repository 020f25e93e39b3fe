// SPDX-License-Identifier: MIT
// Names of hosts to addresses, off the loop: by the system's resolver, on threads of a pool for
// it. Who asks for a name that is being looked up waits for the same answer; answers are kept for a while.
// The loop's thread only.
#pragma once
#include "base/address.h"
#include "base/list.h"
#include "loop/pool.h"

struct resolver;

enum { RESOLVED_MAX = 8 };

// What a name stands for.
struct resolved {
  unsigned count; // 0: for nothing, as `why` says
  struct address addresses[RESOLVED_MAX];
  char why[80];
};

// Embedded in who waits.
struct lookup {
  struct list link;
  void (*on_found)(struct lookup *l, const struct resolved *found); // outside of whatever asked; once
};

// Names are looked up by the pool, whose home it is too; both outlive it.
struct resolver *resolver_new(struct loop *l, struct inbox *home, struct pool *pool);

// Frees it; nobody waits any more, and the pool's threads have ended.
void resolver_free(struct resolver *r);

// The answer, borrowed until the next call, where it is known; else NULL: `l` waits, and is told.
const struct resolved *resolver_find(struct resolver *r, const char *host, struct lookup *l);

// Waits no longer; harmless where it does not wait.
static inline void lookup_leave(struct lookup *l) { list_remove(&l->link); }
