// SPDX-License-Identifier: MIT
// Connections by TLS without a server behind them: what a transport is told is a log of words, and who is
// told does at once what a spec has asked for. Below each is a client's memory, so harness.tls speaks to it.
#include "harness/harness.h"
#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/mem.h"
#include "harness/client.h"
#include "loop/tls_server.h"
#include "loop/transport_tls.h"
#include "script/class.h"

static const char SERVER[] = "spate.harness.tls_server", CARRIED[] = "spate.harness.carried";

struct tls_probe {
  struct manual_clock clock;
  struct loop loop;
  struct tls_keys keys;
  struct tls_counters counters;
  struct tls_server server;
  bool is_open;
};

enum told { TOLD_OPEN, TOLD_BYTES, TOLD_SENT, TOLD_END, TOLD_ERROR, TOLD_COUNT };
static const char *const TOLD[] = {"open", "bytes", "sent", "end", "error", NULL};

struct carried {
  struct tls_probe *probe;
  struct client *client;
  struct transport *transport;   // NULL: closed
  char *given;                   // what it has to send
  const char *asked[TOLD_COUNT]; // what to do when it is told so; NULL: nothing
  struct buf log;
  int file_fd;    // of which a part was given; -1: none
  bool is_broken; // so it has been told, and nothing is to come
};

static struct tls_probe *check_server(lua_State *L, int index) { return luaL_checkudata(L, index, SERVER); }

static struct carried *check(lua_State *L) { return luaL_checkudata(L, 1, CARRIED); }

static struct carried *check_open(lua_State *L) {
  struct carried *c = check(L);
  if (!c->transport) luaL_error(L, "the transport is closed");
  return c;
}

static void shut(struct carried *c, bool reset) {
  struct transport *t = c->transport;
  c->transport = NULL;
  if (t) t->ops->close(t, reset);
}

static void do_asked(struct carried *c, enum told what) {
  const char *asked = c->asked[what] ? c->asked[what] : "";
  struct transport *t = c->transport;
  if (!strcmp(asked, "close")) shut(c, false);
  else if (!strcmp(asked, "reset")) shut(c, true);
  else if (!strcmp(asked, "stop")) t->ops->want_read(t, 0);
  else if (!strcmp(asked, "read")) t->ops->want_read(t, 1 << 16);
  else if (!strcmp(asked, "read now")) buf_printf(&c->log, "now:%d ", t->ops->read_now(t));
  else if (!strcmp(asked, "finish")) t->ops->end(t);
  else if (!strcmp(asked, "wait")) c->probe->clock.now += 0.002;
  else if (!strcmp(asked, "wait half")) c->probe->clock.now += 0.0015; // of what a turn has for handshakes
}

static void on_open(struct transport *t) {
  struct carried *c = t->owner;
  buf_printf(&c->log, "open%s ", t->protocol == PROTOCOL_HTTP2 ? ":h2" : "");
  do_asked(c, TOLD_OPEN);
}

static void on_bytes(struct transport *t, struct span bytes) {
  struct carried *c = t->owner;
  if (bytes.len > 100) buf_printf(&c->log, "bytes:%zu ", bytes.len);
  else buf_printf(&c->log, "bytes:" SPAN_FMT " ", SPAN_ARG(bytes));
  do_asked(c, TOLD_BYTES);
}

static void on_sent(struct transport *t, size_t len) {
  struct carried *c = t->owner;
  buf_printf(&c->log, "sent:%zu ", len);
  do_asked(c, TOLD_SENT);
}

static void on_end(struct transport *t) {
  struct carried *c = t->owner;
  buf_printf(&c->log, "end ");
  do_asked(c, TOLD_END);
}

static void on_error(struct transport *t, enum transport_error why) {
  struct carried *c = t->owner;
  buf_printf(&c->log, "error:%d ", (int)why);
  c->is_broken = true;
  do_asked(c, TOLD_ERROR);
}

static const struct transport_sink sink = {
    .on_open = on_open, .on_bytes = on_bytes, .on_sent = on_sent, .on_end = on_end, .on_error = on_error};

static bool option(lua_State *L, const char *name) {
  bool is_set = lua_istable(L, 2) && lua_getfield(L, 2, name) != LUA_TNIL;
  lua_settop(L, 4);
  return is_set;
}

// server:accept([{ told = what to do }]): a connection that begins, nil where it is refused; its client.
// `plain`: by no TLS, but memory alone, which is `closed` at first.
static int probe_accept(lua_State *L) {
  struct tls_probe *p = check_server(L, 1);
  lua_settop(L, 2);
  struct client *client = client_push(L, "127.0.0.1");
  client->peer.batch = p->loop.batch;
  struct carried *c = lua_newuserdatauv(L, sizeof *c, 2);
  *c = (struct carried){.probe = p, .client = client, .file_fd = -1};
  luaL_setmetatable(L, CARRIED);
  lua_pushvalue(L, 1), lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, 3), lua_setiuservalue(L, -2, 2);
  for (int i = 0; TOLD[i] && lua_istable(L, 2); i++) {
    lua_getfield(L, 2, TOLD[i]);
    c->asked[i] = lua_tostring(L, -1); // a constant of the spec
    lua_pop(L, 1);
  }
  client->peer.is_closed = option(L, "closed"), client->peer.clock = &p->clock;
  struct transport *plain = &client->peer.transport;
  c->transport = option(L, "plain") ? plain : transport_tls_new(&p->server, plain);
  if (!c->transport) return lua_pushnil(L), lua_pushvalue(L, 3), 2;
  c->transport->sink = &sink, c->transport->owner = c;
  c->transport->ops->open(c->transport);
  lua_pushvalue(L, 3);
  return 2;
}

// server:turn([seconds later]): whether any connection had its turn.
static int probe_turn(lua_State *L) {
  struct tls_probe *p = check_server(L, 1);
  p->clock.now += luaL_optnumber(L, 2, 0);
  lua_pushboolean(L, loop_turn(&p->loop));
  return 1;
}

static int probe_now(lua_State *L) {
  lua_pushnumber(L, check_server(L, 1)->clock.now);
  return 1;
}

// server:open_batch(), server:close_batch(): what is sent in between goes by it.
static int probe_open_batch(lua_State *L) {
  struct tls_probe *p = check_server(L, 1);
  batch_open(p->loop.batch, p->clock.now);
  return 0;
}

static int probe_close_batch(lua_State *L) {
  struct tls_probe *p = check_server(L, 1);
  batch_close(p->loop.batch, p->clock.now);
  return 0;
}

// server:counts(): of handshakes that were done, of them by a ticket, refused, one too many; of truncations;
// of handshakes under way.
static int probe_counts(lua_State *L) {
  const struct tls_probe *p = check_server(L, 1);
  const struct tls_counters *n = &p->counters;
  const uint64_t all[] = {n->handshakes_total, n->resumed_total,   n->refused_total,
                          n->crowded_total,    n->truncated_total, p->server.count};
  lua_createtable(L, (int)countof(all), 0);
  for (size_t i = 0; i < countof(all); i++) {
    lua_pushinteger(L, (lua_Integer)all[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int push_key(lua_State *L, bool found, const struct tls_key *key) {
  if (!found) return lua_pushnil(L), 1;
  lua_pushlstring(L, (const char *)key->name, sizeof key->name);
  lua_pushlstring(L, (const char *)key->cipher, sizeof key->cipher);
  lua_pushlstring(L, (const char *)key->mac, sizeof key->mac);
  return 3;
}

// server:key([seconds later]): name, cipher and mac of the key that tickets are made by; server:find(name):
// of that one, while its tickets hold.
static int probe_key(lua_State *L) {
  struct tls_probe *p = check_server(L, 1);
  struct tls_key key;
  p->clock.now += luaL_optnumber(L, 2, 0);
  return push_key(L, tls_keys_current(&p->keys, &key), &key);
}

static int probe_find(lua_State *L) {
  struct tls_probe *p = check_server(L, 1);
  struct tls_key key;
  size_t len;
  const char *name = luaL_checklstring(L, 2, &len);
  luaL_argcheck(L, len == TLS_KEY_NAME_LEN, 2, "no name of a key");
  return push_key(L, tls_keys_find(&p->keys, (const unsigned char *)name, &key), &key);
}

// server:close(): whether nothing is left of the keys of tickets, nor to be run in a turn.
static int probe_close(lua_State *L) {
  struct tls_probe *p = check_server(L, 1);
  static const struct tls_key none[TLS_KEYS];
  if (!p->is_open) return 0;
  p->is_open = false;
  tls_server_deinit(&p->server);
  tls_server_deinit(&p->server); // keeps nothing that it has given back, as new hosts may still come
  tls_keys_deinit(&p->keys);
  bool has_hooks = !list_empty(&p->loop.hooks);
  loop_deinit(&p->loop);
  lua_pushboolean(L, !has_hooks && !memcmp(p->keys.keys, none, sizeof none));
  return 1;
}

// harness.tls_server(cert, key [, handshakes [, asks]]): with so many at a time; asks clients for any
// certificate.
static int probe_new(lua_State *L) {
  const char *cert = luaL_checkstring(L, 1), *key = luaL_checkstring(L, 2);
  size_t handshakes = (size_t)luaL_optinteger(L, 3, 100);
  char error[TLS_ERROR_MAX];
  struct tls_probe *p = lua_newuserdatauv(L, sizeof *p, 0);
  struct tls_config *config = xcalloc(1, sizeof *config);
  *p = (struct tls_probe){.is_open = true};
  manual_clock_init(&p->clock, 0);
  loop_init(&p->loop, &p->clock.clock, false);
  loop_open_batch_of_memory(&p->loop);
  tls_keys_init(&p->keys, &p->clock.clock);
  tls_server_init(&p->server, &p->loop, &p->counters, handshakes);
  config->count = 1;
  config->hosts[0].cert = 1;
  config->hosts[0].clients = lua_toboolean(L, 4) ? TLS_CLIENTS_ANY : TLS_CLIENTS_UNASKED;
  config->hosts[0].key = (uint16_t)(strlen(cert) + 2);
  snprintf(config->text + 1, sizeof config->text - 1, "%s%c%s", cert, 0, key);
  struct tls_hosts *hosts = tls_hosts_new(config, &p->keys, error);
  free(config);
  luaL_setmetatable(L, SERVER);
  if (!hosts) return luaL_error(L, "%s", error);
  tls_server_use(&p->server, hosts);
  return 1;
}

static int push_log(lua_State *L, struct carried *c) {
  lua_pushlstring(L, c->log.bytes ? c->log.bytes : "", c->log.len ? c->log.len - 1 : 0);
  buf_deinit(&c->log);
  return 1;
}

// carried:poll(): one call from below, if any is due: what was told, and whether there was one.
static int carried_poll(lua_State *L) {
  struct carried *c = check(L);
  bool any = memory_peer_poll(&c->client->peer);
  push_log(L, c);
  lua_pushboolean(L, any);
  return 2;
}

// carried:turn(): all that are due, and a turn; what was told.
static int carried_turn(lua_State *L) {
  struct carried *c = check(L);
  for (int i = 0; i < 10000 && !c->is_broken && memory_peer_poll(&c->client->peer); i++) continue;
  loop_turn(&c->probe->loop);
  return push_log(L, c);
}

// carried:log(): what it has been told since.
static int carried_log(lua_State *L) { return push_log(L, check(L)); }

// carried:send(piece, ...): how much has left at once, or an error's number; and whether it is in the batch.
static int carried_send(lua_State *L) {
  struct carried *c = check_open(L);
  struct outq q = {.count = lua_gettop(L) - 1};
  size_t len;
  for (int i = 0; i < q.count; i++) luaL_checklstring(L, i + 2, &len), q.len += len;
  free(c->given);
  char *at = c->given = xmalloc(q.len + 1);
  for (int i = 0; i < q.count; i++) {
    const char *piece = lua_tolstring(L, i + 2, &len);
    q.iov[i] = (struct iovec){memcpy(at, piece, len), len};
    at += len;
  }
  lua_pushinteger(L, c->transport->ops->send(c->transport, &q));
  lua_pushboolean(L, c->transport && c->transport->is_queued);
  return 2;
}

// carried:send_file(path, offset, len): likewise.
static int carried_send_file(lua_State *L) {
  struct carried *c = check_open(L);
  struct outq q = {.offset = (uint64_t)luaL_checkinteger(L, 3), .len = (size_t)luaL_checkinteger(L, 4)};
  if (c->file_fd >= 0) close(c->file_fd);
  q.fd = c->file_fd = open(luaL_checkstring(L, 2), O_RDONLY | O_CLOEXEC);
  lua_pushinteger(L, c->transport->ops->send(c->transport, &q));
  return 1;
}

static int carried_want_read(lua_State *L) {
  struct transport *t = check_open(L)->transport;
  t->ops->want_read(t, (size_t)luaL_checkinteger(L, 2));
  return 0;
}

// carried:reads(): how many bytes are read from below at a time now.
static int carried_reads(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check(L)->client->peer.read_len);
  return 1;
}

// carried:is_queued(): whether what it was given is in the batch.
static int carried_is_queued(lua_State *L) {
  lua_pushboolean(L, check_open(L)->transport->is_queued);
  return 1;
}

static int carried_read_now(lua_State *L) {
  struct transport *t = check_open(L)->transport;
  lua_pushboolean(L, t->ops->read_now(t));
  return 1;
}

static int carried_finish(lua_State *L) {
  struct transport *t = check_open(L)->transport;
  t->ops->end(t);
  return 0;
}

// carried:shut([reset]).
static int carried_shut(lua_State *L) {
  shut(check_open(L), lua_toboolean(L, 2));
  return 0;
}

// carried:bound(bytes): what the connection below speaks then, by its number; client:bound() has the bytes.
static int carried_bound(lua_State *L) {
  struct carried *c = check_open(L);
  c->transport->ops->bound(c->transport, (size_t)luaL_checkinteger(L, 2));
  lua_pushinteger(L, c->client->peer.transport.protocol);
  return 1;
}

// carried:describe(): what is known of it, as transport_tls_describe has it.
static int carried_describe(lua_State *L) {
  struct carried *c = check_open(L);
  struct buf *out = push_buf(L);
  transport_tls_describe(c->transport, out);
  push_span(L, buf_span(out));
  return 1;
}

static int carried_collect(lua_State *L) {
  struct carried *c = check(L);
  if (c->probe && c->probe->is_open) shut(c, true);
  if (c->file_fd >= 0) close(c->file_fd);
  free(c->given);
  buf_deinit(&c->log);
  c->file_fd = -1;
  c->probe = NULL, c->given = NULL;
  return 0;
}

void tls_probe_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"accept", probe_accept},
                                     {"turn", probe_turn},
                                     {"now", probe_now},
                                     {"open_batch", probe_open_batch},
                                     {"close_batch", probe_close_batch},
                                     {"counts", probe_counts},
                                     {"key", probe_key},
                                     {"find", probe_find},
                                     {"close", probe_close},
                                     {NULL, NULL}};
  static const luaL_Reg carried[] = {{"poll", carried_poll},
                                     {"turn", carried_turn},
                                     {"log", carried_log},
                                     {"send", carried_send},
                                     {"send_file", carried_send_file},
                                     {"want_read", carried_want_read},
                                     {"reads", carried_reads},
                                     {"is_queued", carried_is_queued},
                                     {"read_now", carried_read_now},
                                     {"finish", carried_finish},
                                     {"shut", carried_shut},
                                     {"bound", carried_bound},
                                     {"describe", carried_describe},
                                     {NULL, NULL}};
  class_new(L, SERVER, methods, probe_close);
  class_new(L, CARRIED, carried, carried_collect);
  lua_pushcfunction(L, probe_new);
  lua_setfield(L, -2, "tls_server");
}
