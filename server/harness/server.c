// SPDX-License-Identifier: MIT
// What a server in memory is to all that works with it: it is open, it turns until it has come to rest, and
// what is logged meanwhile is its own.
#include "harness/server.h"
#include <stdlib.h>
#include "base/log.h"
#include "harness/client.h"

enum { TURNS_MAX = 1000 };

struct harness *check_server(lua_State *L) {
  struct harness *h = luaL_checkudata(L, 1, HARNESS_SERVER);
  luaL_argcheck(L, h->is_open, 1, "the server is closed");
  luaL_argcheck(L, h->vm, 1, "the application has not started");
  h->asks.L = L;
  h->redis.L = L;
  return h;
}

static void on_log(void *owner, const char *line, size_t len) {
  buf_append(&((struct harness *)owner)->log, line, len);
}

void harness_capture_log(struct harness *h) { log_capture(on_log, h); }

bool harness_poll_clients(struct harness *h) {
  bool any = spec_asks_poll(&h->asks);
  any |= stub_redis_poll(&h->redis);
  list_each (node, &h->clients) {
    struct memory_peer *peer = &container_of(node, struct client, link)->peer;
    any |= memory_peer_poll(peer);
    if (!peer->server_closed) continue;
    list_remove(node);
    list_append(&h->over, node);
  }
  return any;
}

int harness_settle(struct harness *h) {
  int turns = 0;
  bool more = true;
  harness_capture_log(h);
  for (; more && turns < TURNS_MAX; turns++) {
    more = harness_poll_clients(h);
    more |= loop_turn(&h->loop);
    if (!more) more = harness_poll_clients(h); // what the turn has made wishes for
  }
  return turns;
}

int harness_push_error(lua_State *L, char *error) {
  lua_pushnil(L);
  lua_pushstring(L, error);
  free(error);
  return 2;
}
