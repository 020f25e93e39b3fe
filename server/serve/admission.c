// SPDX-License-Identifier: MIT
// Descriptors belong to the process, so the count of connections does too. It is taken under one lock at the
// begin and the end of each connection, never between. An address has an entry only while it has a
// connection.
#include "serve/admission.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/lock.h"
#include "base/mem.h"
#include "base/util.h"
#include "loop/sock.h"

enum {
  DESCRIPTORS_KEPT = 64, // for listeners, logs, files that scripts open, and those turned away
  TURNED_AWAY_MAX = 32   // that may hold a descriptor at the same time
};
static const double LOG_EVERY = 1;

struct admission_address {
  struct map_node node;
  size_t count;
  char name[16];
};

static size_t default_connections(void) {
  size_t descriptors = sock_descriptors_max();
  return descriptors - MIN((size_t)DESCRIPTORS_KEPT, descriptors / 2);
}

void admission_ref(struct admission *g, size_t connections_max, size_t per_address_max) {
  if (g->users++) return;
  *g = (struct admission){.users = 1,
                          .connections_max = connections_max ? connections_max : default_connections(),
                          .per_address_max = per_address_max,
                          .logged_at = -INFINITY};
  lock_init(&g->lock);
  map_init(&g->by_address, map_seed(g));
}

void admission_unref(struct admission *g) {
  if (--g->users) return;
  map_deinit(&g->by_address);
  lock_deinit(&g->lock);
}

static struct admission_address *address_of(struct admission *g, const struct address *peer) {
  if (address_is_local(peer)) return NULL;
  struct address network = address_network(peer);
  struct span key = {(const char *)network.bytes, sizeof network.bytes};
  struct map_node *node = map_find(&g->by_address, key);
  if (node) return container_of(node, struct admission_address, node);
  struct admission_address *a = xcalloc(1, sizeof *a);
  memcpy(a->name, key.bytes, key.len);
  a->node.name = (struct span){a->name, key.len};
  map_insert(&g->by_address, &a->node);
  return a;
}

struct refusal admission_enter(struct admission *g, const struct address *peer,
                               struct admission_address **address) {
  struct refusal refusal = ACCEPTED;
  *address = NULL;
  lock_take(&g->lock);
  struct admission_address *a = peer && g->open < g->connections_max ? address_of(g, peer) : NULL;
  if (g->open >= g->connections_max) refusal = TOO_MANY_CONNECTIONS;
  else if (a && a->count >= g->per_address_max)
    refusal = REFUSED_BY(LIMIT_CONNECTIONS_PER_ADDRESS, 503, "too many connections from one address");
  else {
    *address = a;
    g->open++;
    if (a) a->count++;
  }
  lock_release(&g->lock);
  return refusal;
}

bool admission_may_linger(struct admission *g) {
  lock_take(&g->lock);
  bool may = g->turned_away < TURNED_AWAY_MAX;
  g->turned_away += may;
  lock_release(&g->lock);
  return may;
}

void admission_leave(struct admission *g, enum admission_stay stay, struct admission_address *a) {
  if (stay == ADMISSION_OUTSIDE) return;
  lock_take(&g->lock);
  g->open -= stay == ADMISSION_INSIDE;
  g->turned_away -= stay == ADMISSION_TURNED_AWAY;
  bool is_last = a && !--a->count;
  if (is_last) map_remove(&g->by_address, &a->node);
  lock_release(&g->lock);
  if (is_last) free(a);
}

bool admission_should_log(struct admission *g, double now, uint64_t *count) {
  lock_take(&g->lock);
  g->unlogged++;
  bool due = now - g->logged_at >= LOG_EVERY;
  if (due) *count = g->unlogged, g->unlogged = 0, g->logged_at = now;
  lock_release(&g->lock);
  return due;
}
