// SPDX-License-Identifier: MIT
// Descriptors belong to the process, so the count of connections does too. It is taken under one lock at the
// begin and the end of each connection, never between. An address has an entry only while it has a
// connection.
#include "serve/gate.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "base/mem.h"
#include "base/util.h"
#include "loop/sock.h"

enum {
  DESCRIPTORS_KEPT = 64, // for listeners, logs, files that scripts open, and those turned away
  TURNED_AWAY_MAX = 32   // that may hold a descriptor at the same time
};
static const double LOG_EVERY = 1;

struct gate_address {
  struct map_node node;
  size_t count;
  char name[16];
};

static size_t default_connections(void) {
  size_t descriptors = sock_descriptors_max();
  return descriptors > 2 * DESCRIPTORS_KEPT ? descriptors - DESCRIPTORS_KEPT : descriptors / 2;
}

void gate_ref(struct gate *g, size_t connections_max, size_t per_address_max) {
  uint64_t seed = 0;
  if (g->users++) return;
  *g = (struct gate){.users = 1,
                     .connections_max = connections_max ? connections_max : default_connections(),
                     .per_address_max = per_address_max,
                     .logged_at = -INFINITY};
  if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) < 0) seed = (uintptr_t)g;
  pthread_mutex_init(&g->lock, NULL);
  map_init(&g->by_address, seed);
}

void gate_unref(struct gate *g) {
  if (--g->users) return;
  map_deinit(&g->by_address);
  pthread_mutex_destroy(&g->lock);
}

static struct gate_address *address_of(struct gate *g, const struct address *peer) {
  if (address_is_local(peer)) return NULL;
  struct address network = address_network(peer);
  struct span key = {(const char *)network.bytes, sizeof network.bytes};
  struct map_node *node = map_find(&g->by_address, key);
  if (node) return container_of(node, struct gate_address, node);
  struct gate_address *a = xcalloc(1, sizeof *a);
  memcpy(a->name, key.bytes, key.len);
  a->node.name = (struct span){a->name, key.len};
  map_insert(&g->by_address, &a->node);
  return a;
}

const char *gate_enter(struct gate *g, const struct address *peer, struct gate_address **address) {
  const char *why = NULL;
  *address = NULL;
  pthread_mutex_lock(&g->lock);
  struct gate_address *a = peer && g->open < g->connections_max ? address_of(g, peer) : NULL;
  if (g->open >= g->connections_max) why = "too many connections";
  else if (a && a->count >= g->per_address_max) why = "too many connections from one address";
  else {
    *address = a;
    g->open++;
    if (a) a->count++;
  }
  pthread_mutex_unlock(&g->lock);
  return why;
}

bool gate_may_linger(struct gate *g) {
  pthread_mutex_lock(&g->lock);
  bool may = g->turned_away < TURNED_AWAY_MAX;
  g->turned_away += may;
  pthread_mutex_unlock(&g->lock);
  return may;
}

void gate_leave(struct gate *g, enum gate_stay stay, struct gate_address *a) {
  if (stay == GATE_OUTSIDE) return;
  pthread_mutex_lock(&g->lock);
  g->open -= stay == GATE_INSIDE;
  g->turned_away -= stay == GATE_TURNED_AWAY;
  bool is_last = a && !--a->count;
  if (is_last) map_remove(&g->by_address, &a->node);
  pthread_mutex_unlock(&g->lock);
  if (is_last) free(a);
}

bool gate_should_log(struct gate *g, double now, uint64_t *count) {
  pthread_mutex_lock(&g->lock);
  g->unlogged++;
  bool due = now - g->logged_at >= LOG_EVERY;
  if (due) *count = g->unlogged, g->unlogged = 0, g->logged_at = now;
  pthread_mutex_unlock(&g->lock);
  return due;
}
