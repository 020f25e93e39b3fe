// SPDX-License-Identifier: MIT
// What pools have, for who looks after the server: of threads, and of connections to databases. Those of one
// name count together, over workers and states; what is beyond POOLS_MAX names counts as "other".
#pragma once
#include <stdint.h>
#include "base/buf.h"
#include "base/list.h"

struct metrics;
struct service;

enum { POOL_NAME_MAX = 64, POOLS_MAX = 50 };

struct pool_load {
  uint64_t in_use, idle, waiting, limit; // `waiting`: for one; `limit`: how many there may be
};

// Embedded in a pool. Its own thread alone writes, any may read.
struct pool_gauges {
  struct list link; // in the metrics
  char name[POOL_NAME_MAX];
  struct pool_load load;
};

// The pool is listed from now on, by this name: of a longer one its end, in printable ASCII without quotes;
// no longer. The service's thread.
void pool_gauges_add(struct service *s, struct pool_gauges *g, const char *kind, struct span name);
void pool_gauges_remove(struct service *s, struct pool_gauges *g);

// What it has now. The pool's thread.
void pool_gauges_set(struct pool_gauges *g, struct pool_load load);

struct pool_sum {
  char name[POOL_NAME_MAX];
  struct pool_load load;
};

// All of them by name, the threads of workers before the others; how many. Any thread.
size_t pool_gauges_sum(struct metrics *m, struct pool_sum sums[POOLS_MAX]);

// The lines of all of it for Prometheus. Any thread.
void pool_gauges_expose(struct buf *out, struct metrics *m);
