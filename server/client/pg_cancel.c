// SPDX-License-Identifier: MIT
// From libpq 17 on the request is encrypted as the connection is; before, it is sent as it is. A server that
// stands still holds its thread up: where these are all taken, connections are closed instead. A request is
// freed when it comes home, whoever waits.
#include "client/pg_cancel.h"
#include <stdlib.h>
#include "base/mem.h"
#include "serve/service.h"

#ifdef LIBPQ_HAS_ASYNC_CANCEL
static void send_request(PGcancelConn *handle) { PQcancelBlocking(handle); }
#define create_request PQcancelCreate
#define free_request   PQcancelFinish
#else
static void send_request(PGcancel *handle) {
  char why[256];
  PQcancel(handle, why, sizeof why);
}
#define create_request PQgetCancel
#define free_request   PQfreeCancel
#endif

static struct pg_cancel *cancel_of(struct job *j) { return container_of(j, struct pg_cancel, work.job); }

static void run(struct work *w) { send_request(container_of(w, struct pg_cancel, work)->handle); }

static void on_done(struct job *j) { cancel_of(j)->on_done(cancel_of(j)); }

static void free_cancel(struct job *j) {
  free_request(cancel_of(j)->handle);
  free(cancel_of(j));
}

struct pg_cancel *pg_cancel_start(struct service *s, PGconn *conn, void *user,
                                  void (*told)(struct pg_cancel *c)) {
  struct pg_cancel *c = xcalloc(1, sizeof *c);
  c->handle = create_request(conn);
  c->user = user, c->on_done = told, c->work.run = run;
  if (c->handle) {
    job_begin(&c->work.job, s->inbox, on_done, free_cancel);
    if (pool_submit(&s->pools[WORK_CANCELS], &c->work)) return c;
    free_request(c->handle);
  }
  free(c);
  return NULL;
}

void pg_cancel_leave(struct pg_cancel *c) { job_abandon(&c->work.job); }
