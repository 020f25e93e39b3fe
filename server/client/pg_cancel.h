// SPDX-License-Identifier: MIT
// Has a server stop what it does for a connection. That takes a connection of its own, which blocks: a thread
// of the pool has it.
#pragma once
#include <libpq-fe.h>
#include "loop/pool.h"

struct service;

struct pg_cancel {
  struct work work;
  void *user; // of whoever waits for its end
  void (*on_done)(struct pg_cancel *c);
#ifdef LIBPQ_HAS_ASYNC_CANCEL
  PGcancelConn *handle;
#else
  PGcancel *handle;
#endif
};

// Begins; on_done is called when the server has been told, or could not be. NULL: it cannot be done.
struct pg_cancel *pg_cancel_start(struct service *s, PGconn *conn, void *user,
                                  void (*on_done)(struct pg_cancel *c));

// Nobody waits for it any more.
void pg_cancel_leave(struct pg_cancel *c);
