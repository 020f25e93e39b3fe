// SPDX-License-Identifier: MIT
// The map of slots is only a guess, which the nodes correct: a command that went to the wrong one is told
// where to go. So nothing waits for the map; it is asked for when it proves wrong, or a node is lost, and not
// more often than a few times a second.
#include "client/redis_cluster.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/digits.h"
#include "base/mem.h"

enum { SLOTS = 16384, NODES_MAX = 1000, REDIRECTS_MAX = 5 };
static const double REFRESH_SECONDS = 0.3;

struct node {
  struct redis_host host;
  struct redis *redis;
  struct redis_feed *feed; // NULL: nobody has subscribed there
  size_t placed;           // subscriptions
  bool is_named;           // by the map that came last, or by the address
};

struct redis_cluster {
  struct redis_home *home;
  const struct redis_address *address;
  struct redis_options options;
  struct redis_feed_options feed_options;
  struct node *nodes[NODES_MAX];
  unsigned node_count, next; // next: whom to ask for the map
  uint16_t owners[SLOTS];    // a node's place above, from 1; 0: not known
  struct list routed, placed;
  struct redis_command asking; // for the map
  const struct node *asked;    // for it
  struct timer refresh;
  struct redis_doomed doomed;
};

// A command on its way.
struct routed {
  struct redis_routed base;
  struct list link;
  struct redis_command inner, *outer;
  struct redis_cluster *cluster;
  unsigned prefix, redirects;
  size_t len;
  char bytes[];
};

// A subscription where it is now.
struct placed {
  struct redis_placed base;
  struct list link;
  struct redis_subscription inner, *outer;
  struct redis_cluster *cluster;
  struct node *node; // NULL: it has ended with its node
  enum redis_channel_kind kind;
  struct span name;
  char bytes[];
};

// CRC-16/XMODEM.
static unsigned crc16(struct span s) {
  unsigned crc = 0;
  for (size_t i = 0; i < s.len; i++) {
    crc ^= (unsigned)(unsigned char)s.bytes[i] << 8;
    for (int bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
    crc &= 0xffff;
  }
  return crc;
}

unsigned redis_slot(struct span key) {
  const char *open = key.len ? memchr(key.bytes, '{', key.len) : NULL;
  size_t left = open ? key.len - (size_t)(open + 1 - key.bytes) : 0;
  const char *close = left ? memchr(open + 1, '}', left) : NULL;
  if (close && close > open + 1) key = (struct span){open + 1, (size_t)(close - open - 1)};
  return crc16(key) % SLOTS;
}

static struct node *find_node(struct redis_cluster *c, const char *host, unsigned port) {
  for (unsigned i = 0; i < c->node_count; i++) {
    struct node *n = c->nodes[i];
    if (n->host.port == port && !strcmp(n->host.name, host)) return n;
  }
  return NULL;
}

void redis_cluster_refresh(struct redis_cluster *c) {
  if (!timer_is_armed(&c->refresh) && !c->asking.entry)
    loop_arm(c->home->loop, &c->refresh, loop_time(c->home->loop) + REFRESH_SECONDS);
}

// NULL where there are too many.
static struct node *get_node(struct redis_cluster *c, const char *host, unsigned port) {
  struct node *n = find_node(c, host, port);
  if (n || c->node_count == NODES_MAX) return n;
  n = xcalloc(1, sizeof *n);
  n->host = (struct redis_host){xstrdup(host), port};
  n->redis = redis_new(c->home, c->address, &c->options);
  redis_move(n->redis, host, port);
  c->nodes[c->node_count++] = n;
  return n;
}

static void node_free(struct node *n) {
  redis_free(n->redis);
  if (n->feed) redis_feed_free(n->feed);
  free(n->host.name);
  free(n);
}

static struct node *node_of_slot(struct redis_cluster *c, unsigned slot) {
  unsigned owner = c->owners[slot];
  if (!owner) redis_cluster_refresh(c);
  return c->nodes[owner ? owner - 1 : c->next % c->node_count];
}

static struct node *node_of_key(struct redis_cluster *c, struct span key) {
  return key.bytes ? node_of_slot(c, redis_slot(key)) : c->nodes[c->next % c->node_count];
}

// Its place from 1.
static uint16_t number_of(const struct redis_cluster *c, const struct node *n) {
  unsigned i = 0;
  while (i < c->node_count && c->nodes[i] != n) i++;
  return (uint16_t)(i + 1);
}

static void set_owner(struct redis_cluster *c, unsigned slot, const struct node *n) {
  c->owners[slot] = number_of(c, n);
}

// "MOVED 1234 host:port", or ASK: the slot, and the node. NULL where it is neither.
static struct node *read_redirection(struct redis_cluster *c, const char *message, bool *is_ask,
                                     unsigned *slot) {
  char word[8], host[256];
  unsigned port;
  if (!message || sscanf(message, "redis: %7s %u %255s", word, slot, host) != 3) return NULL;
  *is_ask = !strcmp(word, "ASK");
  char *colon = strrchr(host, ':');
  if ((!*is_ask && strcmp(word, "MOVED")) || !colon || *slot >= SLOTS || colon == host) return NULL;
  *colon = 0, port = (unsigned)strtoul(colon + 1, NULL, 10);
  return port && port <= UINT16_MAX ? get_node(c, host, port) : NULL;
}

bool redis_cluster_learn(struct redis_cluster *c, const char *message) {
  bool is_ask;
  unsigned slot;
  struct node *n = read_redirection(c, message, &is_ask, &slot);
  if (!n) return false;
  if (!is_ask) set_owner(c, slot, n), redis_cluster_refresh(c);
  return true;
}

static struct redis_command *routed_end(struct routed *r) {
  struct redis_command *outer = r->outer;
  outer->routed = NULL;
  list_remove(&r->link);
  free(r);
  return outer;
}

static void leave_routed(struct redis_routed *base) {
  struct routed *r = container_of(base, struct routed, base);
  redis_leave(&r->inner);
  routed_end(r);
}

// Sends it on where an answer says so; false: the answer is the last.
static bool redirect(struct routed *r, const struct redis_answer *a) {
  static const char asking[] = "*1\r\n$6\r\nASKING\r\n";
  bool is_ask;
  unsigned slot;
  struct node *n = a->reply ? read_redirection(r->cluster, a->message, &is_ask, &slot) : NULL;
  if (!n || r->redirects++ == REDIRECTS_MAX || (is_ask && r->prefix)) return false;
  if (!is_ask) {
    set_owner(r->cluster, slot, n), redis_cluster_refresh(r->cluster);
    return redis_ask_formatted(n->redis, &r->inner, (struct span){r->bytes, r->len}, r->prefix);
  }
  struct buf b = {0};
  buf_append(&b, asking, sizeof asking - 1);
  buf_append(&b, r->bytes, r->len);
  bool is_taken = redis_ask_formatted(n->redis, &r->inner, buf_span(&b), 1);
  buf_deinit(&b);
  return is_taken;
}

static void on_routed(struct redis_command *inner, struct redis_answer *a) {
  struct routed *r = container_of(inner, struct routed, inner);
  if (a->code == REDIS_CODE_UNAVAILABLE || a->code == REDIS_CODE_UNKNOWN) redis_cluster_refresh(r->cluster);
  if (a->code && redirect(r, a)) return;
  struct redis_command *outer = routed_end(r);
  outer->on_reply(outer, a);
}

bool redis_cluster_ask(struct redis_cluster *c, struct redis_command *command, struct span key,
                       struct span bytes, unsigned prefix) {
  struct routed *r = xcalloc(1, sizeof *r + bytes.len);
  *r = (struct routed){
      .base = {leave_routed}, .outer = command, .cluster = c, .prefix = prefix, .len = bytes.len};
  r->inner = (struct redis_command){.on_reply = on_routed, .timeout = command->timeout};
  memcpy(r->bytes, bytes.bytes, bytes.len);
  if (!redis_ask_formatted(node_of_key(c, key)->redis, &r->inner, bytes, prefix)) return free(r), false;
  list_init(&r->link);
  list_append(&c->routed, &r->link);
  command->routed = &r->base;
  return true;
}

void redis_cluster_pass_over(struct redis_cluster *c, const struct redis_host *place) {
  if (&c->nodes[c->next % c->node_count]->host == place) c->next++;
}

const struct redis_host *redis_cluster_place(struct redis_cluster *c, struct span key) {
  return &node_of_key(c, key)->host;
}

static struct placed *placed_of(struct redis_subscription *s) {
  return container_of(s, struct placed, inner);
}

// Messages that are not of a shard go to all nodes: any named one does.
static struct node *node_for(struct redis_cluster *c, const struct placed *p) {
  if (p->kind == REDIS_SHARD) return node_of_slot(c, redis_slot(p->name));
  if (p->node && p->node->is_named) return p->node;
  for (unsigned i = 0; i < c->node_count; i++) {
    struct node *n = c->nodes[(c->next + i) % c->node_count];
    if (n->is_named) return n;
  }
  return c->nodes[0];
}

static bool place(struct placed *p, struct node *n) {
  if (p->node) p->node->placed--;
  redis_unsubscribe(&p->inner);
  if (!n->feed) {
    n->feed = redis_feed_new(p->cluster->home, p->cluster->address, &p->cluster->feed_options);
    redis_feed_move(n->feed, n->host.name, n->host.port);
  }
  p->node = n;
  n->placed++;
  return redis_subscribe(n->feed, &p->inner, p->kind, p->name);
}

static void placed_on_message(struct redis_subscription *s, struct span channel, struct span payload) {
  struct redis_subscription *outer = placed_of(s)->outer;
  outer->on_message(outer, channel, payload);
}

static void placed_on_live(struct redis_subscription *s) {
  struct redis_subscription *outer = placed_of(s)->outer;
  outer->is_live = true;
  if (outer->on_live) outer->on_live(outer);
}

static void placed_tell_lost(struct placed *p) {
  struct redis_subscription *outer = p->outer;
  bool was_live = outer->is_live;
  outer->is_live = false;
  if (was_live && outer->on_lost) outer->on_lost(outer);
}

static void placed_on_lost(struct redis_subscription *s) {
  redis_cluster_refresh(placed_of(s)->cluster);
  placed_tell_lost(placed_of(s));
}

static void placed_on_refused(struct redis_subscription *s, const char *message) {
  struct placed *p = placed_of(s);
  char text[300];
  snprintf(text, sizeof text, "redis: %s", message);
  if (redis_cluster_learn(p->cluster, text)) {
    struct node *n = node_for(p->cluster, p);
    if (n != p->node) place(p, n);
  } else if (p->outer->on_refused) p->outer->on_refused(p->outer, message);
}

static void leave_placed(struct redis_placed *base) {
  struct placed *p = container_of(base, struct placed, base);
  redis_unsubscribe(&p->inner);
  p->outer->placed = NULL, p->outer->is_live = false;
  if (p->node) p->node->placed--;
  list_remove(&p->link);
  free(p);
}

bool redis_cluster_subscribe(struct redis_cluster *c, struct redis_subscription *s,
                             enum redis_channel_kind kind, struct span name) {
  struct placed *p = xcalloc(1, sizeof *p + name.len);
  memcpy(p->bytes, name.bytes, name.len);
  p->base.leave = leave_placed, p->outer = s, p->cluster = c, p->kind = kind;
  p->name = (struct span){p->bytes, name.len};
  p->inner = (struct redis_subscription){.on_message = placed_on_message,
                                         .on_live = placed_on_live,
                                         .on_lost = placed_on_lost,
                                         .on_refused = placed_on_refused};
  list_init(&p->link);
  list_append(&c->placed, &p->link);
  s->placed = &p->base, s->is_live = false;
  if (place(p, node_for(c, p))) return true;
  leave_placed(&p->base);
  return false;
}

// Those that are elsewhere now are moved, and told that they were lost. Who is told may end others.
static void place_anew(struct redis_cluster *c) {
  struct list rest;
  list_init(&rest);
  list_splice(&rest, &c->placed);
  for (struct list *node; (node = list_shift(&rest));) {
    struct placed *p = container_of(node, struct placed, link);
    list_append(&c->placed, node);
    struct node *n = node_for(c, p);
    if (n == p->node) {
      if (!p->inner.is_live) redis_cluster_refresh(c);
      continue;
    }
    place(p, n);
    placed_tell_lost(p);
  }
}

static void forget_unnamed(struct redis_cluster *c) {
  for (unsigned i = c->node_count; i-- > 0;) {
    struct node *n = c->nodes[i];
    if (n->is_named || n->placed || redis_waiting(n->redis) || c->node_count == 1) continue;
    unsigned last = --c->node_count;
    c->nodes[i] = c->nodes[last];
    for (unsigned slot = 0; slot < SLOTS; slot++) {
      if (c->owners[slot] == i + 1) c->owners[slot] = 0;
      else if (c->owners[slot] == last + 1) c->owners[slot] = (uint16_t)(i + 1);
    }
    node_free(n);
  }
}

// [from, to, [host, port, ...], ...]: the master is the first of the hosts.
static bool take_range(struct redis_cluster *c, const struct node *asked, const redisReply *r) {
  bool ok = r->type == REDIS_REPLY_ARRAY && r->elements >= 3 && r->element[0]->type == REDIS_REPLY_INTEGER &&
            r->element[1]->type == REDIS_REPLY_INTEGER && r->element[2]->type == REDIS_REPLY_ARRAY &&
            r->element[2]->elements >= 2 && r->element[2]->element[1]->type == REDIS_REPLY_INTEGER;
  if (!ok) return false;
  long long from = r->element[0]->integer, to = r->element[1]->integer,
            port = r->element[2]->element[1]->integer;
  struct span name = redis_text(r->element[2]->element[0]);
  if (from < 0 || to >= SLOTS || from > to || port <= 0 || port > UINT16_MAX) return false;
  char *host = name.len ? xstrndup(name.bytes, name.len) : xstrdup(asked->host.name);
  struct node *n = get_node(c, host, (unsigned)port);
  free(host);
  if (!n) return false;
  n->is_named = true;
  uint16_t number = number_of(c, n);
  for (long long slot = from; slot <= to; slot++) c->owners[slot] = number;
  return true;
}

static void on_map(struct redis_command *command, struct redis_answer *a) {
  struct redis_cluster *c = container_of(command, struct redis_cluster, asking);
  const struct node *asked = c->asked;
  bool ok = !a->code && a->reply->type == REDIS_REPLY_ARRAY && a->reply->elements > 0;
  if (ok)
    for (unsigned i = 0; i < c->node_count; i++) c->nodes[i]->is_named = false;
  for (size_t i = 0; ok && i < (size_t)a->reply->elements; i++) take_range(c, asked, a->reply->element[i]);
  if (ok) {
    place_anew(c);
    forget_unnamed(c);
    return;
  }
  redis_cluster_pass_over(c, &asked->host);
  redis_cluster_refresh(c);
}

static void on_refresh(struct timer *t) {
  struct redis_cluster *c = container_of(t, struct redis_cluster, refresh);
  static const char slots[] = "*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n";
  c->asking = (struct redis_command){.on_reply = on_map, .timeout = 2};
  struct node *n = c->nodes[c->next % c->node_count];
  c->asked = n;
  if (!redis_ask_formatted(n->redis, &c->asking, (struct span){slots, sizeof slots - 1}, 0))
    c->next++, redis_cluster_refresh(c);
}

struct redis_cluster *redis_cluster_new(struct redis_home *home, const struct redis_address *address,
                                        const struct redis_options *options,
                                        const struct redis_feed_options *feed_options) {
  struct redis_cluster *c = xcalloc(1, sizeof *c);
  c->home = home, c->address = address, c->options = *options, c->feed_options = *feed_options;
  c->refresh.on_fire = on_refresh;
  list_init(&c->routed);
  list_init(&c->placed);
  for (unsigned i = 0; i < address->host_count; i++)
    get_node(c, address->hosts[i].name, address->hosts[i].port)->is_named = true;
  return c;
}

static void free_later(struct redis_doomed *d) { free(container_of(d, struct redis_cluster, doomed)); }

void redis_cluster_free(struct redis_cluster *c) {
  loop_disarm(c->home->loop, &c->refresh);
  redis_leave(&c->asking);
  while (!list_empty(&c->routed)) leave_routed(&container_of(c->routed.next, struct routed, link)->base);
  while (c->node_count) node_free(c->nodes[--c->node_count]);
  c->doomed.free = free_later;
  redis_home_free_later(c->home, &c->doomed);
}
