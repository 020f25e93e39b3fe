// SPDX-License-Identifier: MIT
// A connection is freed where it is polled, once the client has closed it: never from within what the client
// calls.
#include "harness/stub_redis.h"
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "loop/transport_memory.h"

struct connection {
  struct list link;
  struct memory_peer peer;
  struct stub_redis *stub;
  struct list later; // answers that are not due
  struct timer timer;
  double due; // of the last of them
  int number;
};

struct later {
  struct list link;
  double due;
  size_t len;
  char bytes[];
};

static void give_due(struct connection *c) {
  struct loop *l = c->stub->home.loop;
  while (!list_empty(&c->later)) {
    struct later *a = container_of(c->later.next, struct later, link);
    if (a->due > l->now) {
      if (a->due < INFINITY) loop_arm(l, &c->timer, a->due);
      return;
    }
    buf_append(&c->peer.to_server, a->bytes, a->len);
    list_remove(&a->link);
    free(a);
  }
}

static void on_due(struct timer *t) { give_due(container_of(t, struct connection, timer)); }

static struct transport *stand_in(struct redis_home *h, const char *host, unsigned port) {
  struct stub_redis *s = container_of(h, struct stub_redis, home);
  (void)host, (void)port;
  if (s->refuses || s->answer == LUA_NOREF) return NULL;
  struct connection *c = xcalloc(1, sizeof *c);
  memory_peer_init(&c->peer);
  c->stub = s, c->number = ++s->count, c->timer.on_fire = on_due;
  list_init(&c->later);
  list_init(&c->link);
  list_append(&s->connections, &c->link);
  return &c->peer.transport;
}

void stub_redis_init(struct stub_redis *s, struct loop *l) {
  *s = (struct stub_redis){.answer = LUA_NOREF};
  list_init(&s->connections);
  redis_home_init(&s->home, l, NULL);
  s->home.stand_in = stand_in, s->home.seed = 1;
}

static void connection_free_stub(struct connection *c) {
  list_remove(&c->link);
  loop_disarm(c->stub->home.loop, &c->timer);
  for (struct list *node; (node = list_shift(&c->later));) free(container_of(node, struct later, link));
  memory_peer_deinit(&c->peer);
  free(c);
}

void stub_redis_deinit(struct stub_redis *s, lua_State *L) {
  while (!list_empty(&s->connections))
    connection_free_stub(container_of(s->connections.next, struct connection, link));
  redis_home_deinit(&s->home);
  luaL_unref(L, LUA_REGISTRYINDEX, s->answer);
  s->answer = LUA_NOREF;
}

// What has come is the function's, which may raise.
static void tell(struct stub_redis *s, struct connection *c) {
  lua_State *L = s->L;
  bool is_closed = c->peer.server_closed;
  if (s->answer != LUA_NOREF) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->answer);
    lua_pushinteger(L, c->number);
    if (!is_closed) lua_pushlstring(L, c->peer.to_client.bytes, c->peer.to_client.len);
  }
  buf_reset(&c->peer.to_client, 0);
  if (is_closed) connection_free_stub(c);
  if (s->answer != LUA_NOREF) lua_call(L, is_closed ? 1 : 2, 0);
}

bool stub_redis_poll(struct stub_redis *s) {
  bool any = false;
  list_each (node, &s->connections) {
    struct connection *c = container_of(node, struct connection, link);
    if (!c->peer.server_closed) any |= memory_peer_poll(&c->peer);
  }
  list_each (node, &s->connections) {
    struct connection *c = container_of(node, struct connection, link);
    if (!c->peer.to_client.len && !c->peer.server_closed) continue;
    tell(s, c);
    return true; // the function may have done anything
  }
  return any;
}

int stub_redis_answer_by(lua_State *L, struct stub_redis *s) {
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  luaL_unref(L, LUA_REGISTRYINDEX, s->answer);
  s->answer = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

static struct connection *connection_of(const struct stub_redis *s, lua_Integer number) {
  for (struct list *node = s->connections.next; node != &s->connections; node = node->next) {
    struct connection *c = container_of(node, struct connection, link);
    if (c->number == number) return c;
  }
  return NULL;
}

int stub_redis_give(lua_State *L, struct stub_redis *s) {
  size_t len;
  struct connection *c = connection_of(s, luaL_checkinteger(L, 2));
  const char *bytes = luaL_checklstring(L, 3, &len);
  double after = luaL_optnumber(L, 4, 0);
  if (!c) return 0;
  struct later *a = xmalloc(sizeof *a + len);
  *a = (struct later){.due = MAX(c->due, s->home.loop->now + after), .len = len};
  memcpy(a->bytes, bytes, len);
  c->due = a->due;
  list_init(&a->link);
  list_append(&c->later, &a->link);
  give_due(c);
  return 0;
}

int stub_redis_cut(lua_State *L, struct stub_redis *s) {
  lua_Integer number = luaL_optinteger(L, 2, 0);
  list_each (node, &s->connections) {
    struct connection *c = container_of(node, struct connection, link);
    if (!number || c->number == number) c->peer.client_ended = true;
  }
  return 0;
}
