// SPDX-License-Identifier: MIT
// When a server in memory goes on: its clock stands until a spec moves it, and a turn is taken when a spec
// asks for one. Several servers of one spec take turns by slices.
#include "harness/server.h"
#include "base/util.h"
#include "harness/client.h"

// server:turn(): runs until nothing is left to do at this moment; how many turns that took.
static int server_turn(lua_State *L) {
  lua_pushinteger(L, harness_settle(check_server(L)));
  return 1;
}

// server:step(): one turn; whether there is more to do.
static int server_step(lua_State *L) {
  struct harness *h = check_server(L);
  bool more = harness_poll_clients(h);
  more |= loop_turn(&h->loop);
  lua_pushboolean(L, more);
  return 1;
}

// server:slice(): one turn, and what it has made clients ask for; whether there may be more to do. Several
// servers take turns by it.
static int server_slice(lua_State *L) {
  struct harness *h = check_server(L);
  harness_capture_log(h);
  if (h->door.fd >= 0) loop_poll(&h->loop, 0); // who has knocked
  bool more = harness_poll_clients(h);
  more |= loop_turn(&h->loop);
  lua_pushboolean(L, more || harness_poll_clients(h));
  return 1;
}

// server:has_mail(): whether others have left something for it that waits for its next turn.
static int server_has_mail(lua_State *L) {
  lua_pushboolean(L, loop_is_ready(&check_server(L)->loop));
  return 1;
}

// server:set_clock(time): moves time there, and runs nothing.
static int server_set_clock(lua_State *L) {
  struct harness *h = check_server(L);
  h->clock.now = MAX(luaL_checknumber(L, 2), h->clock.now);
  return 0;
}

static void put_tag(lua_State *L, lua_Integer *n, const struct list *node) {
  lua_pushinteger(L, container_of(node, struct client, link)->tag);
  lua_rawseti(L, 2, ++*n);
}

// server:heard(list): puts the tags of those clients into it that something has come for, or whose connection
// was closed since the last call. How many.
static int server_heard(lua_State *L) {
  struct harness *h = check_server(L);
  lua_Integer n = 0;
  luaL_checktype(L, 2, LUA_TTABLE);
  list_each (node, &h->clients)
    if (container_of(node, struct client, link)->peer.to_client.len) put_tag(L, &n, node);
  for (struct list *node; (node = list_shift(&h->over));) put_tag(L, &n, node);
  lua_pushinteger(L, n);
  return 1;
}

static int advance_to(struct harness *h, double target) {
  double next;
  harness_settle(h);
  while ((next = timer_next(&h->loop.timers)) <= target) {
    h->clock.now = MAX(next, h->clock.now);
    harness_settle(h);
  }
  h->clock.now = MAX(target, h->clock.now);
  harness_settle(h);
  return 0;
}

// server:advance(seconds): moves time from deadline to deadline.
static int server_advance(lua_State *L) {
  struct harness *h = check_server(L);
  return advance_to(h, h->clock.now + luaL_checknumber(L, 2));
}

// server:advance_to(time), of server:now().
static int server_advance_to(lua_State *L) { return advance_to(check_server(L), luaL_checknumber(L, 2)); }

// server:wait(seconds): what comes from descriptors and other threads within so many seconds, of the
// machine's clock, and what it sets off; the server's own clock stands.
static int server_wait(lua_State *L) {
  struct harness *h = check_server(L);
  double seconds = luaL_checknumber(L, 2);
  harness_capture_log(h);
  loop_poll(&h->loop, seconds);
  harness_settle(h);
  return 0;
}

// server:next(): when its next timer is due.
static int server_next(lua_State *L) {
  lua_pushnumber(L, timer_next(&check_server(L)->loop.timers));
  return 1;
}

// server:add_armings(n): as if so many timers had been armed meanwhile.
static int server_add_armings(lua_State *L) {
  check_server(L)->loop.timers.armed_ever += (uint64_t)luaL_checkinteger(L, 2);
  return 0;
}

// server:set_wall(seconds since 1970)
static int server_set_wall(lua_State *L) {
  struct harness *h = check_server(L);
  h->clock.epoch = luaL_checknumber(L, 2) - h->clock.now;
  return 0;
}

// server:jump(seconds): moves time at once, so that every deadline passed over is met late.
static int server_jump(lua_State *L) {
  struct harness *h = check_server(L);
  harness_settle(h);
  h->clock.now += luaL_checknumber(L, 2);
  harness_settle(h);
  return 0;
}

static int server_now(lua_State *L) {
  lua_pushnumber(L, check_server(L)->clock.now);
  return 1;
}

const luaL_Reg time_methods[] = {
    {"turn", server_turn},
    {"step", server_step},
    {"slice", server_slice},
    {"has_mail", server_has_mail},
    {"set_clock", server_set_clock},
    {"heard", server_heard},
    {"advance", server_advance},
    {"advance_to", server_advance_to},
    {"wait", server_wait},
    {"next", server_next},
    {"add_armings", server_add_armings},
    {"set_wall", server_set_wall},
    {"jump", server_jump},
    {"now", server_now},
    {NULL, NULL},
};
