// SPDX-License-Identifier: MIT
// A connection is made where somebody waits for whom none is on its way. One that fails, when there is no
// other, is the answer to all who wait: the next to ask has it tried again. What is given back is cleaned
// first, and then the next one's.
#include "client/pg_pool.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "serve/pool_gauges.h"
#include "serve/service.h"

struct pg_pool {
  struct service *service;
  struct pg_config config;
  struct pg_pool_limits limits;
  struct resolver *resolver;
  struct list connections;                             // all but the idle ones
  struct list idle;                                    // the one used last is first
  struct list waiting;                                 // leases
  size_t count, connecting, waiting_count, idle_count; // `count`: without extra ones
  struct pool_gauges gauges;
  struct timer timer; // for idle ones
};

static void on_timer(struct timer *t);

// For who looks after the server.
static void tell(struct pg_pool *p) {
  pool_gauges_set(&p->gauges, (struct pool_load){.in_use = p->count - p->connecting - p->idle_count,
                                                 .idle = p->idle_count,
                                                 .waiting = p->waiting_count,
                                                 .limit = p->limits.connections});
}

struct pg_pool *pg_pool_new(struct service *s, struct pg_config *config, struct pg_pool_limits limits) {
  struct pg_pool *p = xcalloc(1, sizeof *p);
  p->service = s, p->config = *config, p->limits = limits;
  *config = (struct pg_config){0};
  p->resolver = resolver_new(s->loop, s->inbox, &s->pools[WORK_NAMES]);
  p->timer.on_fire = on_timer;
  list_init(&p->connections);
  list_init(&p->idle);
  list_init(&p->waiting);
  char name[256];
  pg_config_name(&p->config, name, sizeof name);
  pool_gauges_add(s, &p->gauges, "postgres", span_of(name));
  tell(p);
  return p;
}

static void lose_lease(struct pg_lease *l, const char *why) {
  list_remove(&l->link);
  l->state = PG_LEASE_LOST, l->connection = NULL;
  snprintf(l->why, sizeof l->why, "%s", why);
}

static void free_all(struct list *connections) {
  while (!list_empty(connections)) {
    struct pg_connection *c = container_of(connections->next, struct pg_connection, link);
    if (c->lease) lose_lease(c->lease, "the pool has been closed");
    pg_connection_free(c);
  }
}

void pg_pool_free(struct pg_pool *p) {
  while (!list_empty(&p->waiting))
    lose_lease(container_of(p->waiting.next, struct pg_lease, link), "the pool has been closed");
  free_all(&p->connections);
  free_all(&p->idle);
  loop_disarm(p->service->loop, &p->timer);
  pool_gauges_remove(p->service, &p->gauges);
  resolver_free(p->resolver);
  pg_config_deinit(&p->config);
  free(p);
}

static void on_timer(struct timer *t) {
  struct pg_pool *p = container_of(t, struct pg_pool, timer);
  double now = p->service->loop->now;
  while (!list_empty(&p->idle)) {
    struct pg_connection *c = container_of(p->idle.prev, struct pg_connection, link);
    if (c->idle_since + p->limits.idle > now) {
      loop_arm(p->service->loop, t, c->idle_since + p->limits.idle);
      return;
    }
    p->count--, p->idle_count--;
    tell(p);
    pg_connection_free(c);
  }
}

static void hand_over(struct pg_connection *c, struct pg_lease *l) {
  struct pg_pool *p = c->pool;
  list_remove(&c->link);
  list_append(&p->connections, &c->link);
  c->lease = l, l->connection = c, l->state = PG_LEASE_HELD;
}

// To who waits, else it is idle.
static void give(struct pg_connection *c) {
  struct pg_pool *p = c->pool;
  struct list *node = list_shift(&p->waiting);
  if (node) {
    struct pg_lease *l = container_of(node, struct pg_lease, link);
    p->waiting_count--;
    hand_over(c, l);
    l->on_news(l);
    return;
  }
  list_remove(&c->link);
  c->link.prev = &p->idle, c->link.next = p->idle.next;
  p->idle.next->prev = &c->link, p->idle.next = &c->link;
  p->idle_count++;
  c->idle_since = p->service->loop->now;
  if (!timer_is_armed(&p->timer)) loop_arm(p->service->loop, &p->timer, c->idle_since + p->limits.idle);
}

static void refuse_all(struct pg_pool *p, const char *why) {
  struct list waiting;
  list_init(&waiting);
  list_splice(&waiting, &p->waiting);
  p->waiting_count = 0;
  while (!list_empty(&waiting)) {
    struct pg_lease *l = container_of(waiting.next, struct pg_lease, link);
    lose_lease(l, why);
    l->on_news(l);
  }
}

static void on_news(struct pg_connection *c);

static struct pg_connection *add_connection(struct pg_pool *p) {
  struct pg_connection *c = pg_connection_new(p->service, &p->config, p->resolver, on_news);
  c->pool = p, c->is_new = true;
  list_append(&p->connections, &c->link);
  return c;
}

// As many are on their way as somebody waits for, while there may be more.
static void add_connections(struct pg_pool *p) {
  while (p->connecting < p->waiting_count && p->count < p->limits.connections) {
    p->count++, p->connecting++;
    add_connection(p);
  }
}

static void on_lost(struct pg_connection *c) {
  struct pg_pool *p = c->pool;
  struct pg_lease *l = c->lease;
  bool is_extra = l && l->is_extra, was_new = c->is_new;
  if (!is_extra) p->count--;
  if (!is_extra && was_new) p->connecting--;
  if (!l && !was_new && !c->is_given_back) p->idle_count--;
  if (l) lose_lease(l, c->why), l->on_news(l);
  if (!l && was_new && !p->count) refuse_all(p, c->why);
  pg_connection_free(c);
  if (!was_new) add_connections(p);
  tell(p);
}

static void on_news(struct pg_connection *c) {
  struct pg_lease *l = c->lease;
  struct pg_pool *p = c->pool;
  if (c->state == PG_LOST) {
    on_lost(c);
    return;
  }
  if (c->state == PG_READY && c->is_new) {
    c->is_new = false;
    if (l) hand_over(c, l);
    else c->pool->connecting--, c->is_given_back = true;
  }
  if (l) l->on_news(l);
  else if (c->state == PG_READY && c->is_given_back) c->is_given_back = false, give(c);
  tell(p);
}

bool pg_pool_take(struct pg_pool *p, struct pg_lease *l) {
  l->pool = p, l->state = PG_LEASE_WAITING;
  list_init(&l->link);
  if (l->is_extra) {
    l->connection = add_connection(p);
    l->connection->lease = l;
    return true;
  }
  if (!list_empty(&p->idle)) {
    p->idle_count--;
    hand_over(container_of(p->idle.next, struct pg_connection, link), l);
    tell(p);
    return true;
  }
  if (p->waiting_count >= p->limits.queue) return l->state = PG_LEASE_NONE, false;
  list_append(&p->waiting, &l->link);
  p->waiting_count++;
  add_connections(p);
  tell(p);
  return true;
}

bool pg_pool_is_full(const struct pg_pool *p) { return p->count >= p->limits.connections; }

void pg_lease_return(struct pg_lease *l) {
  struct pg_connection *c = l->connection;
  bool waits = l->state == PG_LEASE_WAITING && !c;
  l->connection = NULL, l->state = PG_LEASE_NONE;
  if (waits) list_remove(&l->link), l->pool->waiting_count--, tell(l->pool);
  if (!c) return;
  c->lease = NULL;
  if (l->is_extra) {
    pg_connection_free(c);
    return;
  }
  c->is_given_back = true;
  pg_connection_clean(c);
}
