// SPDX-License-Identifier: MIT
// The methods of a client: what it sends and what has come. Nothing moves before the server's next turn, so a
// spec says itself in which order things happen.
#include "harness/client.h"
#include "harness/door.h"
#include <string.h>
#include "script/class.h"
#include "serve/conn.h"

static const char CLIENT[] = "spate.harness.client";

static struct client *check_client(lua_State *L) { return luaL_checkudata(L, 1, CLIENT); }

static void set_address(struct client *c, const char *text) {
  struct address *peer = &c->peer.transport.peer;
  *peer = (struct address){.family = !strcmp(text, "unix") ? ADDRESS_UNIX : ADDRESS_NONE};
  address_parse(span_of(text), peer);
}

static struct conn *conn_of_client(struct client *c) { return c->top->owner; }

struct client *client_push(lua_State *L, const char *address) {
  struct client *c = lua_newuserdatauv(L, sizeof *c, 1);
  c->reason = NULL, c->tag = 0, c->top = NULL, c->outside = -1;
  memory_peer_init(&c->peer);
  set_address(c, address);
  list_init(&c->link);
  luaL_setmetatable(L, CLIENT);
  return c;
}

// client:send(bytes): nothing happens before the server's next turn.
static int client_send(lua_State *L) {
  struct client *c = check_client(L);
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  buf_append(&c->peer.to_server, bytes, len);
  lua_settop(L, 1);
  return 1;
}

// client:take(): the bytes that have come since the last call.
static int client_take(lua_State *L) {
  struct client *c = check_client(L);
  push_span(L, buf_span(&c->peer.to_client));
  buf_reset(&c->peer.to_client, 1 << 16);
  return 1;
}

// client:finish() ends its side and reads on; client:leave() reads no more either; client:reset() cuts the
// connection.
static int client_finish(lua_State *L) {
  check_client(L)->peer.client_ended = true;
  return 0;
}

static int client_leave(lua_State *L) {
  struct client *c = check_client(L);
  c->peer.client_ended = c->peer.client_left = true;
  door_turn_back(c);
  return 0;
}

static int client_reset(lua_State *L) {
  struct client *c = check_client(L);
  c->peer.client_reset = true;
  door_turn_back(c);
  return 0;
}

// client:window(bytes): so many more are taken from the server; nil: any number.
static int client_window(lua_State *L) {
  check_client(L)->peer.window = lua_isnoneornil(L, 2) ? SIZE_MAX : (size_t)luaL_checkinteger(L, 2);
  return 0;
}

// client:step(bytes): so many leave the server at a time; client:late(): none does so at once.
static int client_step(lua_State *L) {
  check_client(L)->peer.step = (size_t)luaL_checkinteger(L, 2);
  lua_settop(L, 1);
  return 1;
}

static int client_late(lua_State *L) {
  check_client(L)->peer.is_late = true;
  lua_settop(L, 1);
  return 1;
}

// client:delay(seconds): the server is held up for so long by each write that brings it bytes.
static int client_delay(lua_State *L) {
  check_client(L)->peer.write_seconds = luaL_checknumber(L, 2);
  lua_settop(L, 1);
  return 1;
}

// client:fail("send" or "recv", is_for_now, after): that system call fails the server once so many have not:
// by EINTR, or for good.
static int client_fail(lua_State *L) {
  static const char *const calls[] = {"send", "recv", NULL};
  struct memory_peer *p = &check_client(L)->peer;
  struct memory_fault *f = luaL_checkoption(L, 2, NULL, calls) ? &p->read_fault : &p->send_fault;
  *f = (struct memory_fault){(size_t)luaL_optinteger(L, 4, 0) + 1, lua_toboolean(L, 3)};
  lua_settop(L, 1);
  return 1;
}

// client:takes_files(): parts of files go to it as they do to a socket, by their descriptors.
static int client_takes_files(lua_State *L) {
  check_client(L)->peer.transport.takes_files = true;
  lua_settop(L, 1);
  return 1;
}

// client:open(): the connection that server:connect has left closed carries bytes from now on.
static int client_open_now(lua_State *L) {
  memory_peer_open(&check_client(L)->peer);
  lua_settop(L, 1);
  return 1;
}

// client:is_outside(): whether the server has not accepted its connection yet.
static int client_is_outside(lua_State *L) {
  lua_pushboolean(L, check_client(L)->outside >= 0);
  return 1;
}

// client:tag(number): what server:heard names it by.
static int client_tag(lua_State *L) {
  check_client(L)->tag = luaL_checkinteger(L, 2);
  lua_settop(L, 1);
  return 1;
}

// client:unread(): bytes that it has sent and the server has not read.
static int client_unread(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_client(L)->peer.to_server.len);
  return 1;
}

// client:address(text): where it seems to come from.
static int client_address(lua_State *L) {
  struct client *c = check_client(L);
  set_address(c, luaL_checkstring(L, 2));
  lua_settop(L, 1);
  return 1;
}

// client:pieces(bytes): the server reads at most so many at a time.
static int client_pieces(lua_State *L) {
  check_client(L)->peer.piece = (size_t)luaL_checkinteger(L, 2);
  return 0;
}

// client:writes(): how many writes have brought bytes so far.
static int client_writes(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_client(L)->peer.writes);
  return 1;
}

// client:bound(): bytes that the server lets wait unsent for it in the kernel; 0: as many as that likes.
static int client_bound(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_client(L)->peer.bound);
  return 1;
}

// client:state(): "open", "ended" (the server's side), "closed" or "reset".
static int client_state(lua_State *L) {
  const struct memory_peer *p = &check_client(L)->peer;
  lua_pushstring(L, p->server_reset    ? "reset"
                    : p->server_closed ? "closed"
                    : p->server_ended  ? "ended"
                                       : "open");
  return 1;
}

// client:reason(): why its last stream has ended, as the log says it; nil where none has.
static int client_reason(lua_State *L) {
  lua_pushstring(L, check_client(L)->reason);
  return 1;
}

static int client_collect(lua_State *L) {
  struct client *c = check_client(L);
  bool is_open = !list_empty(&c->link) && c->top && conn_of_client(c); // else it was never accepted
  door_turn_back(c);
  if (is_open && !c->peer.server_closed) { // the server still holds it
    conn_close(conn_of_client(c), REASON_CLIENT_CLOSED, false);
  }
  list_remove(&c->link);
  memory_peer_deinit(&c->peer);
  return 0;
}

void client_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"send", client_send},
                                     {"take", client_take},
                                     {"finish", client_finish},
                                     {"leave", client_leave},
                                     {"reset", client_reset},
                                     {"window", client_window},
                                     {"pieces", client_pieces},
                                     {"state", client_state},
                                     {"writes", client_writes},
                                     {"bound", client_bound},
                                     {"reason", client_reason},
                                     {"address", client_address},
                                     {"unread", client_unread},
                                     {"open", client_open_now},
                                     {"step", client_step},
                                     {"late", client_late},
                                     {"delay", client_delay},
                                     {"fail", client_fail},
                                     {"takes_files", client_takes_files},
                                     {"tag", client_tag},
                                     {"is_outside", client_is_outside},
                                     {NULL, NULL}};
  class_new(L, CLIENT, methods, client_collect);
}
