// SPDX-License-Identifier: MIT
// A handle may be made while an application loads, off its loop: nothing of the loop is touched before the
// first use.
#include "script/redis_handle.h"
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "script/class.h"
#include "script/raise.h"
#include "script/vm.h"

static const char REDIS[] = "spate.redis";
enum { LINES_KEPT = 4 };               // that are idle
static const double PING_SECONDS = 30; // of silence, so that a peer which is gone is found before it is asked

struct redis_handle *redis_handle_check(lua_State *L, int index) {
  struct held **box = luaL_checkudata(L, index, REDIS);
  if (!*box) raise_error(L, "redis: it has been let go of already, in a finalizer");
  return container_of(*box, struct redis_handle, held);
}

bool redis_handle_begin(struct redis_handle *h, struct redis_home *home) {
  if (h->is_closed) return false;
  if (h->home) return true;
  h->home = home;
  if (h->address.kind == REDIS_CLUSTER) {
    h->cluster = redis_cluster_new(home, &h->address, &h->options, &h->feed_options);
    return true;
  }
  h->redis = redis_new(home, &h->address, &h->options);
  h->feed = redis_feed_new(home, &h->address, &h->feed_options);
  if (h->address.kind != REDIS_SENTINEL) return true;
  h->sentinel = redis_sentinel_new(home, &h->address);
  redis_set_locator(h->redis, redis_sentinel_locator(h->sentinel));
  redis_feed_set_locator(h->feed, redis_sentinel_locator(h->sentinel));
  return true;
}

static void line_free(struct redis_line *l) {
  struct redis_handle *h = l->handle;
  list_remove(&l->link);
  h->line_count--;
  redis_free(l->redis);
  free(l);
}

// One that nobody uses is not made again by itself.
static void on_line_state(struct redis *r, bool is_ready, void *line) {
  struct redis_line *l = line;
  (void)r;
  if (!is_ready && !l->is_taken) line_free(l);
}

static struct redis_line *line_new(struct redis_handle *h, const struct redis_host *place) {
  struct redis_line *l = xcalloc(1, sizeof *l);
  struct redis_options options = h->options;
  options.times.silence = INFINITY; // the command's own time is the limit
  l->handle = h, l->redis = redis_new(h->home, &h->address, &options);
  redis_on_state(l->redis, on_line_state, l);
  if (place) redis_move(l->redis, place->name, place->port);
  if (h->sentinel) redis_set_locator(l->redis, redis_sentinel_locator(h->sentinel));
  list_init(&l->link);
  list_append(&h->lines, &l->link);
  h->line_count++;
  return l;
}

static bool is_at(const struct redis_line *l, const struct redis_host *place) {
  const struct redis_link *link = redis_link(l->redis);
  return !place || (link->port == place->port && !strcmp(link->host, place->name));
}

struct redis_line *redis_line_take(struct redis_handle *h, struct span key) {
  const struct redis_host *place = h->cluster ? redis_cluster_place(h->cluster, key) : NULL;
  struct redis_line *found = NULL;
  list_each (node, &h->lines) {
    struct redis_line *l = container_of(node, struct redis_line, link);
    if (!l->is_taken && redis_is_ready(l->redis) && is_at(l, place)) found = l;
  }
  if (!found && h->line_count < h->lines_max) found = line_new(h, place);
  if (found) found->is_taken = true;
  return found;
}

static size_t idle_lines(struct redis_handle *h) {
  size_t n = 0;
  list_each (node, &h->lines) n += !container_of(node, struct redis_line, link)->is_taken;
  return n;
}

void redis_line_give(struct redis_line *l, bool is_under_way) {
  l->is_taken = false;
  if (is_under_way || !redis_is_ready(l->redis) || idle_lines(l->handle) > LINES_KEPT) line_free(l);
}

static void close_users(struct list *users) {
  for (struct list *node; (node = list_shift(users));) {
    struct redis_user *u = container_of(node, struct redis_user, link);
    u->close(u);
  }
}

void redis_handle_close(struct redis_handle *h) {
  h->is_closed = true;
  close_users(&h->asked);
  close_users(&h->listening);
  while (!list_empty(&h->lines)) line_free(container_of(h->lines.next, struct redis_line, link));
  if (h->redis) redis_free(h->redis);
  if (h->feed) redis_feed_free(h->feed);
  if (h->cluster) redis_cluster_free(h->cluster);
  if (h->sentinel) redis_sentinel_free(h->sentinel);
  h->redis = NULL, h->feed = NULL, h->cluster = NULL, h->sentinel = NULL;
}

static void leave(struct held *held) { redis_handle_close(container_of(held, struct redis_handle, held)); }

static void drop(struct vm *vm, struct held *held) {
  struct redis_handle *h = container_of(held, struct redis_handle, held);
  (void)vm;
  redis_handle_close(h);
  redis_address_deinit(&h->address);
  free(h);
}

static double number(lua_State *L, const char *name, double otherwise) {
  lua_getfield(L, 1, name);
  double n = luaL_optnumber(L, -1, otherwise);
  lua_pop(L, 1);
  return n;
}

// The option's text in place of the URL's.
static void take_text(lua_State *L, const char *name, char **into) {
  if (lua_getfield(L, 1, name) == LUA_TSTRING) {
    free(*into);
    *into = xstrdup(lua_tostring(L, -1));
  }
  lua_pop(L, 1);
}

static struct redis_handle *handle_new(lua_State *L) {
  struct redis_handle *h = xcalloc(1, sizeof *h);
  list_init(&h->asked);
  list_init(&h->listening);
  list_init(&h->lines);
  h->options = redis_usual, h->feed_options = redis_feed_usual;
  h->options.times.connect = h->feed_options.times.connect = number(L, "connect", h->options.times.connect);
  h->options.timeout = number(L, "timeout", h->options.timeout);
  h->options.wait = number(L, "wait", h->options.wait);
  h->options.times.silence = h->options.timeout, h->options.times.ping = PING_SECONDS;
  h->options.commands_max = (size_t)number(L, "queue", (double)h->options.commands_max);
  h->options.bytes_max = (size_t)number(L, "queue_bytes", (double)h->options.bytes_max);
  h->lines_max = (size_t)number(L, "blocking", 100);
  return h;
}

static void read_tls(lua_State *L, struct redis_address *a) {
  take_text(L, "ca", &a->ca);
  take_text(L, "cert", &a->cert);
  take_text(L, "key", &a->key);
  lua_getfield(L, 1, "verify");
  a->is_unverified = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
  lua_pop(L, 1);
}

int redis_handle_open(lua_State *L) {
  struct span url;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "url");
  url.bytes = luaL_checklstring(L, -1, &url.len);
  struct held **box = held_push(L, REDIS, 0);
  struct redis_handle *h = handle_new(L);
  held_put(L, box, &h->held, drop);
  h->held.leave = leave;
  const char *wrong = redis_address_init(&h->address, url);
  if (wrong) raise_error(L, "redis.open: %s", wrong);
  if (h->address.option_count)
    raise_error(L, "redis.open: unknown option '%s' in the URL", h->address.options[0].name);
  read_tls(L, &h->address);
  return 1;
}

void redis_handle_register(lua_State *L, const luaL_Reg *methods) {
  class_new(L, REDIS, methods, held_collect);
}
