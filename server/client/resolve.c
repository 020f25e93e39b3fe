// SPDX-License-Identifier: MIT
// The system's resolver blocks, for as long as no server of names answers. So each name has at most one
// thread at a time, whoever waits for it, and may leave before; the pool has few threads and a short queue,
// and a name for which there is no room fails at once. Failures are not kept.
#include "client/resolve.h"
#include <netdb.h>
#include <resolv.h>
#undef REFUSED // a code of theirs; ours is another
#include <stdio.h>
#include <stdlib.h>
#include "base/map.h"
#include "base/mem.h"
#include "loop/sock.h"

enum { NAMES_MAX = 256, QUERY_SECONDS = 2, QUERY_TRIES = 2 };
static const double KEPT_SECONDS = 30;

struct looking {
  struct work work;
  struct name *name; // NULL: the resolver has been freed
  struct resolved found;
  char host[];
};

struct name {
  struct map_node node; // its name is the host's
  struct list age_link; // in the resolver's, oldest first
  struct resolver *resolver;
  struct list waiting;
  struct looking *looking; // NULL: `found` is the answer, until then
  double until;
  struct resolved found;
  char host[];
};

struct resolver {
  struct loop *loop;
  struct inbox *home;
  struct pool *pool;
  struct map names;
  struct list ages;
};

struct resolver *resolver_new(struct loop *l, struct inbox *home, struct pool *pool) {
  struct resolver *r = xcalloc(1, sizeof *r);
  r->loop = l, r->home = home, r->pool = pool;
  map_init(&r->names, map_seed(r));
  list_init(&r->ages);
  return r;
}

static void forget(struct name *n) {
  map_remove(&n->resolver->names, &n->node);
  list_remove(&n->age_link);
  free(n);
}

void resolver_free(struct resolver *r) {
  list_each (node, &r->ages) {
    struct name *n = container_of(node, struct name, age_link);
    if (n->looking) job_abandon(&n->looking->work.job);
    forget(n);
  }
  map_deinit(&r->names);
  free(r);
}

// Of IPv4 first or IPv6 first, as the system orders them.
static void add_addresses(struct resolved *found, const struct addrinfo *list) {
  for (; list && found->count < RESOLVED_MAX; list = list->ai_next) {
    struct address a = sock_address(list->ai_addr);
    if (a.family != ADDRESS_NONE) found->addresses[found->count++] = a;
  }
}

// Of this thread: a server of names that does not answer holds it up for a few seconds, and not for half a
// minute.
static void hurry(void) {
  if (!(_res.options & RES_INIT)) res_init();
  _res.retrans = MIN(_res.retrans, QUERY_SECONDS), _res.retry = MIN(_res.retry, QUERY_TRIES);
}

// Names that are this machine's wherever one asks (RFC 6761 6.3), without a file of hosts as well.
static bool is_localhost(struct span host) {
  const struct span name = SPAN("localhost");
  if (host.len && host.bytes[host.len - 1] == '.') host.len--;
  size_t before = host.len >= name.len ? host.len - name.len : 0;
  struct span last = {host.bytes + before, host.len - before};
  return span_equal_nocase(last, name) && (!before || host.bytes[before - 1] == '.');
}

static void add_loopback(struct resolved *found) {
  address_parse(SPAN("127.0.0.1"), &found->addresses[found->count++]);
  address_parse(SPAN("::1"), &found->addresses[found->count++]);
}

static void look_up(struct work *w) {
  struct looking *l = container_of(w, struct looking, work);
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
  struct addrinfo *list = NULL;
  if (is_localhost(span_of(l->host))) {
    add_loopback(&l->found);
    return;
  }
  hurry();
  int error = getaddrinfo(l->host, NULL, &hints, &list);
  if (error) snprintf(l->found.why, sizeof l->found.why, "%s", gai_strerror(error));
  else add_addresses(&l->found, list), freeaddrinfo(list);
}

static void tell(struct name *n) {
  struct list waiting;
  list_init(&waiting);
  list_splice(&waiting, &n->waiting);
  for (struct list *node; (node = list_shift(&waiting));) {
    struct lookup *l = container_of(node, struct lookup, link);
    l->on_found(l, &n->found);
  }
}

static void on_done(struct job *j) {
  struct looking *l = container_of(j, struct looking, work.job);
  struct name *n = l->name;
  n->looking = NULL, n->found = l->found;
  n->until = n->found.count ? n->resolver->loop->now + KEPT_SECONDS : 0;
  tell(n);
}

static void free_looking(struct job *j) { free(container_of(j, struct looking, work.job)); }

static bool begin(struct name *n) {
  struct resolver *r = n->resolver;
  size_t len = n->node.name.len;
  struct looking *l = xcalloc(1, sizeof *l + len + 1);
  memcpy(l->host, n->host, len);
  l->name = n, l->work.run = look_up;
  job_begin(&l->work.job, r->home, on_done, free_looking);
  if (pool_submit(r->pool, &l->work)) return n->looking = l, true;
  snprintf(n->found.why, sizeof n->found.why, "too many names are being looked up");
  free(l);
  return false;
}

// The oldest of those that nobody waits for makes room.
static void make_room(struct resolver *r) {
  list_each (node, &r->ages) {
    if (r->names.count < NAMES_MAX) return;
    struct name *n = container_of(node, struct name, age_link);
    if (!n->looking) forget(n);
  }
}

static struct name *add_name(struct resolver *r, struct span host) {
  struct name *n = xcalloc(1, sizeof *n + host.len + 1);
  memcpy(n->host, host.bytes, host.len);
  n->node.name = (struct span){n->host, host.len};
  n->resolver = r;
  list_init(&n->waiting);
  list_init(&n->age_link);
  map_insert(&r->names, &n->node);
  return n;
}

const struct resolved *resolver_find(struct resolver *r, const char *host, struct lookup *l) {
  struct map_node *node = map_find(&r->names, span_of(host));
  if (!node) make_room(r);
  struct name *n = node ? container_of(node, struct name, node) : add_name(r, span_of(host));
  if (!n->looking && n->until > r->loop->now) return &n->found;
  list_remove(&n->age_link);
  list_append(&r->ages, &n->age_link);
  if (!n->looking) n->found = (struct resolved){0};
  if (!n->looking && !begin(n)) return &n->found;
  list_append(&n->waiting, &l->link);
  return NULL;
}
