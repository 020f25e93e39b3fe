// SPDX-License-Identifier: MIT
// The connections of a worker to one PostgreSQL server, and who has them or waits for one. The loop's thread
// only.
#pragma once
#include "client/pg_connection.h"

struct pg_pool_limits {
  size_t connections, queue; // the latter: who waits for one
  double idle;               // seconds until one that nobody has is closed
};

enum pg_lease_state {
  PG_LEASE_NONE,
  PG_LEASE_WAITING,
  PG_LEASE_HELD, // it has a connection
  PG_LEASE_LOST  // `why` says it
};

// Embedded in who wants a connection.
struct pg_lease {
  struct list link;
  struct pg_pool *pool;
  enum pg_lease_state state;
  struct pg_connection *connection; // also that which is to become its own
  bool is_extra;                    // a connection for it alone, beside the others
  char why[256];
  void (*on_news)(struct pg_lease *l); // its state is another, or its connection's. Does not enter Lua
};

// Takes the configuration. Nothing is connected to.
struct pg_pool *pg_pool_new(struct service *s, struct pg_config *config, struct pg_pool_limits limits);

// Closes all connections; leases are lost, and not told.
void pg_pool_free(struct pg_pool *p);

// Has the lease get a connection, at once or later. False: too many wait.
bool pg_pool_take(struct pg_pool *p, struct pg_lease *l);

// Whether it has as many connections as it may.
bool pg_pool_is_full(const struct pg_pool *p);

// Gives back what it has, or waits no longer; harmless in any state.
void pg_lease_return(struct pg_lease *l);
