// SPDX-License-Identifier: MIT
// A Redis client and a feed over connections in memory, in a loop whose clock a spec moves: the spec reads
// what they send, and answers as the server. What they tell is a log of words, which each call that lets them
// go on returns.
#include "harness/harness.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"
#include "client/redis_cluster.h"
#include "client/redis_sentinel.h"
#include "loop/transport_memory.h"
#include "script/class.h"

enum { CONNECTIONS_MAX = 64, COMMANDS_MAX = 256, SUBSCRIPTIONS_MAX = 64, TURNS_MAX = 1000 };

static const char REDIS[] = "spate.harness.redis";

struct probe_command {
  struct redis_command command;
  struct redis_probe *probe;
};

struct probe_subscription {
  struct redis_subscription subscription;
  struct redis_probe *probe;
};

struct redis_probe {
  struct manual_clock clock;
  struct loop loop;
  struct redis_home home;
  struct redis_address address;
  struct redis *redis;
  struct redis_feed *feed;
  struct redis_cluster *cluster;   // of such an address: it has what is asked and subscribed
  struct redis_sentinel *sentinel; // likewise, where the two are
  bool is_open, refuses, answers_reset;
  struct memory_peer peers[CONNECTIONS_MAX];
  int peer_count;
  struct probe_command commands[COMMANDS_MAX];
  struct probe_subscription subscriptions[SUBSCRIPTIONS_MAX];
  struct buf log;
  struct {
    int what, number; // done in the next callback: 'f'ree, 'r'eset, 'l'eave, 'u'nsubscribe
  } then;
};

static struct redis_probe *check(lua_State *L) {
  struct redis_probe *p = luaL_checkudata(L, 1, REDIS);
  luaL_argcheck(L, p->is_open, 1, "it is closed");
  return p;
}

static void show(struct buf *b, const redisReply *r) {
  struct span text = redis_text(r);
  if (r->type == REDIS_REPLY_INTEGER) buf_printf(b, "%lld", r->integer);
  else if (r->type == REDIS_REPLY_NIL) buf_printf(b, "nil");
  else if (text.len > 200) buf_printf(b, "#%zu", text.len);
  else if (text.bytes) buf_printf(b, SPAN_FMT, SPAN_ARG(text));
  else {
    buf_printf(b, "[");
    for (size_t i = 0; i < (size_t)r->elements; i++) {
      if (i) buf_printf(b, ",");
      show(b, r->element[i]);
    }
    buf_printf(b, "]");
  }
}

static void probe_free_clients(struct redis_probe *p) {
  for (int i = 0; i < COMMANDS_MAX; i++) redis_leave(&p->commands[i].command);
  for (int i = 0; i < SUBSCRIPTIONS_MAX; i++) redis_unsubscribe(&p->subscriptions[i].subscription);
  if (p->redis) redis_free(p->redis);
  if (p->feed) redis_feed_free(p->feed);
  if (p->cluster) redis_cluster_free(p->cluster);
  if (p->sentinel) redis_sentinel_free(p->sentinel);
  p->redis = NULL, p->feed = NULL, p->cluster = NULL, p->sentinel = NULL;
}

// What the spec has asked to be done inside of a callback.
static void do_then(struct redis_probe *p) {
  int what = p->then.what;
  p->then.what = 0;
  if (what == 'f') probe_free_clients(p);
  else if (what == 'r')
    redis_reset(p->redis, "the spec says so"), redis_feed_reset(p->feed, "the spec says so");
  else if (what == 'l') redis_leave(&p->commands[p->then.number].command);
  else if (what == 'u') redis_unsubscribe(&p->subscriptions[p->then.number].subscription);
}

static void on_reply(struct redis_command *c, struct redis_answer *a) {
  struct redis_probe *p = container_of(c, struct probe_command, command)->probe;
  int number = (int)(container_of(c, struct probe_command, command) - p->commands);
  buf_printf(&p->log, "%d:%s:", number, redis_code_name(a->code));
  if (a->reply) show(&p->log, a->reply);
  else buf_printf(&p->log, "%s", a->message);
  buf_printf(&p->log, "\n");
  do_then(p);
}

static int number_of(const struct redis_subscription *s) {
  struct probe_subscription *ps = container_of(s, struct probe_subscription, subscription);
  return (int)(ps - ps->probe->subscriptions);
}

static struct redis_probe *probe_of(struct redis_subscription *s) {
  return container_of(s, struct probe_subscription, subscription)->probe;
}

static void on_message(struct redis_subscription *s, struct span channel, struct span payload) {
  buf_printf(&probe_of(s)->log, "%d:" SPAN_FMT "=" SPAN_FMT "\n", number_of(s), SPAN_ARG(channel),
             SPAN_ARG(payload));
  do_then(probe_of(s));
}

static void on_live(struct redis_subscription *s) {
  buf_printf(&probe_of(s)->log, "%d:live\n", number_of(s));
  do_then(probe_of(s));
}

static void on_lost(struct redis_subscription *s) {
  buf_printf(&probe_of(s)->log, "%d:lost\n", number_of(s));
  do_then(probe_of(s));
}

static void on_refused(struct redis_subscription *s, const char *message) {
  buf_printf(&probe_of(s)->log, "%d:refused:%s\n", number_of(s), message);
  do_then(probe_of(s));
}

static void on_answer(struct redis_feed *f, const redisReply *reply, void *owner) {
  struct redis_probe *p = owner;
  (void)f;
  buf_printf(&p->log, "asked:");
  if (reply) show(&p->log, reply);
  buf_printf(&p->log, "\n");
  if (p->answers_reset && reply) redis_feed_reset(p->feed, "another server");
}

static void on_feed_state(struct redis_feed *f, bool is_ready, void *owner) {
  struct redis_probe *p = owner;
  buf_printf(&p->log, "feed:%s\n", is_ready ? "up" : "down");
  if (is_ready) redis_feed_ask(f, 1, (const char *const[]){"INFO"}, (const size_t[]){4}, on_answer, p);
}

static void on_state(struct redis *r, bool is_ready, void *owner) {
  struct redis_probe *p = owner;
  (void)r;
  buf_printf(&p->log, "redis:%s\n", is_ready ? "up" : "down");
}

static struct transport *stand_in(struct redis_home *h, const char *host, unsigned port) {
  struct redis_probe *p = container_of(h, struct redis_probe, home);
  buf_printf(&p->log, "dial:%s:%u\n", host ? host : "unix", port);
  if (p->refuses || p->peer_count == CONNECTIONS_MAX) return NULL;
  memory_peer_init(&p->peers[p->peer_count]);
  return &p->peers[p->peer_count++].transport;
}

static bool poll_peers(struct redis_probe *p) {
  bool any = false;
  for (int i = 0; i < p->peer_count; i++)
    if (!p->peers[i].server_closed) any |= memory_peer_poll(&p->peers[i]);
  return any;
}

static int settle(lua_State *L, struct redis_probe *p) {
  for (int i = 0; i < TURNS_MAX; i++) {
    bool more = poll_peers(p);
    if (!(more | loop_turn(&p->loop)) && !p->home.hook.is_ready(&p->home.hook)) break;
  }
  lua_pushlstring(L, p->log.bytes ? p->log.bytes : "", p->log.len);
  buf_reset(&p->log, 0);
  return 1;
}

// redis:turn(): what is told.
static int probe_turn(lua_State *L) { return settle(L, check(L)); }

// redis:advance(seconds): the same, from deadline to deadline.
static int probe_advance(lua_State *L) {
  struct redis_probe *p = check(L);
  double target = p->clock.now + luaL_checknumber(L, 2);
  struct buf *all = push_buf(L);
  for (double next = p->clock.now; next <= target; next = timer_next(&p->loop.timers)) {
    p->clock.now = MAX(next, p->clock.now);
    settle(L, p);
    size_t len;
    const char *log = lua_tolstring(L, -1, &len);
    buf_append(all, log, len);
    lua_pop(L, 1);
  }
  p->clock.now = target;
  settle(L, p);
  lua_pushlstring(L, all->bytes ? all->bytes : "", all->len);
  lua_insert(L, -2);
  lua_concat(L, 2);
  return 1;
}

// By the second word, where there is one.
static bool ask_cluster(struct redis_probe *p, struct redis_command *c, int argc, const char *const *argv,
                        const size_t *lens) {
  struct span key = {0};
  struct buf b = {0};
  if (argc > 1) key = (struct span){argv[1], lens[1]};
  redis_format(&b, argc, argv, lens);
  bool is_taken = redis_cluster_ask(p->cluster, c, key, buf_span(&b), 0);
  buf_deinit(&b);
  return is_taken;
}

// redis:ask(number, timeout or 0, word...): whether it was taken.
static int probe_ask(lua_State *L) {
  struct redis_probe *p = check(L);
  const char *argv[32];
  size_t lens[32];
  int number = (int)luaL_checkinteger(L, 2), argc = lua_gettop(L) - 3;
  luaL_argcheck(L, number >= 0 && number < COMMANDS_MAX && argc > 0 && argc <= 32, 2, "too many");
  for (int i = 0; i < argc; i++) argv[i] = luaL_checklstring(L, i + 4, &lens[i]);
  struct probe_command *c = &p->commands[number];
  *c = (struct probe_command){{.on_reply = on_reply, .timeout = luaL_checknumber(L, 3)}, p};
  lua_pushboolean(L, p->cluster ? ask_cluster(p, &c->command, argc, argv, lens)
                                : redis_ask(p->redis, &c->command, argc, argv, lens));
  return 1;
}

static int probe_leave(lua_State *L) {
  redis_leave(&check(L)->commands[luaL_checkinteger(L, 2)].command);
  return 0;
}

// redis:subscribe(number, "channel" | "pattern" | "shard", name)
static int probe_subscribe(lua_State *L) {
  static const char *const kinds[] = {"channel", "pattern", "shard", NULL};
  struct redis_probe *p = check(L);
  struct probe_subscription *s = &p->subscriptions[luaL_checkinteger(L, 2)];
  struct span name;
  int kind = luaL_checkoption(L, 3, NULL, kinds);
  name.bytes = luaL_checklstring(L, 4, &name.len);
  *s = (struct probe_subscription){
      {.on_message = on_message, .on_live = on_live, .on_lost = on_lost, .on_refused = on_refused}, p};
  enum redis_channel_kind which = (enum redis_channel_kind)kind;
  lua_pushboolean(L, p->cluster ? redis_cluster_subscribe(p->cluster, &s->subscription, which, name)
                                : redis_subscribe(p->feed, &s->subscription, which, name));
  return 1;
}

static int probe_unsubscribe(lua_State *L) {
  redis_unsubscribe(&check(L)->subscriptions[luaL_checkinteger(L, 2)].subscription);
  return 0;
}

// redis:then_do("free" | "reset" | "leave" | "unsubscribe" [, number]): inside of the next callback.
static int probe_then(lua_State *L) {
  struct redis_probe *p = check(L);
  p->then.what = luaL_checkstring(L, 2)[0], p->then.number = (int)luaL_optinteger(L, 3, 0);
  return 0;
}

static struct memory_peer *check_peer(lua_State *L) {
  struct redis_probe *p = check(L);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 1 && n <= p->peer_count, 2, "no such connection");
  return &p->peers[n - 1];
}

// redis:connections(): how many there have been.
static int probe_connections(lua_State *L) {
  lua_pushinteger(L, check(L)->peer_count);
  return 1;
}

// redis:take(n): what has been sent on connection n since, and whether it is closed.
static int probe_take(lua_State *L) {
  struct memory_peer *peer = check_peer(L);
  lua_pushlstring(L, peer->to_client.bytes ? peer->to_client.bytes : "", peer->to_client.len);
  buf_reset(&peer->to_client, 0);
  lua_pushboolean(L, peer->server_closed);
  return 2;
}

// redis:give(n, bytes): from the server.
static int probe_give(lua_State *L) {
  struct memory_peer *peer = check_peer(L);
  size_t len;
  const char *bytes = luaL_checklstring(L, 3, &len);
  if (!peer->server_closed) buf_append(&peer->to_server, bytes, len);
  return 0;
}

// redis:hang_up(n [, reset])
static int probe_hang_up(lua_State *L) {
  struct memory_peer *peer = check_peer(L);
  peer->client_ended = true, peer->client_reset = lua_toboolean(L, 3);
  return 0;
}

// redis:narrow(n, piece, window): so many bytes are read, and taken, at a time.
static int probe_narrow(lua_State *L) {
  struct memory_peer *peer = check_peer(L);
  peer->piece = (size_t)luaL_checkinteger(L, 3), peer->window = (size_t)luaL_checkinteger(L, 4);
  return 0;
}

static int probe_refuse(lua_State *L) {
  check(L)->refuses = lua_toboolean(L, 2);
  return 0;
}

static int probe_waiting(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)redis_waiting(check(L)->redis));
  return 1;
}

static int probe_close(lua_State *L) {
  struct redis_probe *p = luaL_checkudata(L, 1, REDIS);
  if (!p->is_open) return 0;
  p->is_open = false;
  probe_free_clients(p);
  redis_home_deinit(&p->home);
  redis_address_deinit(&p->address);
  for (int i = 0; i < p->peer_count; i++) memory_peer_deinit(&p->peers[i]);
  loop_deinit(&p->loop);
  buf_deinit(&p->log);
  log_capture(NULL, NULL);
  return 0;
}

static void on_line(void *owner, const char *line, size_t len) {
  struct redis_probe *p = owner;
  (void)line, (void)len;
  buf_printf(&p->log, "logged\n");
}

static double option(lua_State *L, const char *name, double otherwise) {
  lua_getfield(L, 2, name);
  double n = luaL_optnumber(L, -1, otherwise);
  lua_pop(L, 1);
  return n;
}

static void read_options(lua_State *L, struct redis_options *o, struct redis_feed_options *f) {
  *o = redis_usual, *f = redis_feed_usual;
  o->times.connect = f->times.connect = option(L, "connect", 5);
  o->times.silence = f->times.silence = option(L, "silence", 5);
  o->times.ping = option(L, "ping", o->times.ping), f->times.ping = option(L, "ping", f->times.ping);
  o->wait = option(L, "wait", o->wait), o->timeout = option(L, "timeout", o->timeout);
  o->commands_max = (size_t)option(L, "commands_max", (double)o->commands_max);
  o->bytes_max = (size_t)option(L, "bytes_max", (double)o->bytes_max);
  f->channels_max = (size_t)option(L, "channels_max", (double)f->channels_max);
}

// harness.redis(url, options): a client and a feed; states: they tell of theirs. nil, what is wrong with the
// URL.
static int probe_new(lua_State *L) {
  struct span url;
  struct redis_options options;
  struct redis_feed_options feed_options;
  url.bytes = luaL_checklstring(L, 1, &url.len);
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) lua_newtable(L), lua_replace(L, 2);
  read_options(L, &options, &feed_options);
  struct redis_probe *p = lua_newuserdatauv(L, sizeof *p, 0);
  *p = (struct redis_probe){0};
  luaL_setmetatable(L, REDIS);
  const char *wrong = redis_address_init(&p->address, url);
  if (wrong) {
    lua_pushnil(L);
    lua_pushstring(L, wrong);
    redis_address_deinit(&p->address);
    return 2;
  }
  manual_clock_init(&p->clock, 0);
  loop_init(&p->loop, &p->clock.clock, false);
  redis_home_init(&p->home, &p->loop, NULL);
  p->home.stand_in = stand_in, p->home.seed = 1;
  p->redis = redis_new(&p->home, &p->address, &options);
  p->feed = redis_feed_new(&p->home, &p->address, &feed_options);
  if (p->address.kind == REDIS_CLUSTER)
    p->cluster = redis_cluster_new(&p->home, &p->address, &options, &feed_options);
  if (p->address.kind == REDIS_SENTINEL) {
    p->sentinel = redis_sentinel_new(&p->home, &p->address);
    redis_set_locator(p->redis, redis_sentinel_locator(p->sentinel));
    redis_feed_set_locator(p->feed, redis_sentinel_locator(p->sentinel));
  }
  lua_getfield(L, 2, "states");
  if (lua_toboolean(L, -1))
    redis_on_state(p->redis, on_state, p), redis_feed_on_state(p->feed, on_feed_state, p);
  lua_getfield(L, 2, "resets");
  p->answers_reset = lua_toboolean(L, -1);
  lua_pop(L, 2);
  p->is_open = true;
  log_capture(on_line, p);
  return 1;
}

// harness.redis_address(url): { kind, ... } as it is read; nil, what is wrong.
static int probe_address(lua_State *L) {
  static const char *const kinds[] = {"single", "unix", "sentinel", "cluster"};
  struct redis_address a;
  struct span url;
  url.bytes = luaL_checklstring(L, 1, &url.len);
  const char *wrong = redis_address_init(&a, url);
  struct buf *b = push_buf(L);
  if (wrong) {
    lua_pushnil(L);
    lua_pushstring(L, wrong);
    redis_address_deinit(&a);
    return 2;
  }
  buf_printf(b, "%s%s", kinds[a.kind], a.is_secure ? " tls" : "");
  for (unsigned i = 0; i < a.host_count; i++) buf_printf(b, " host=%s:%u", a.hosts[i].name, a.hosts[i].port);
  if (a.path) buf_printf(b, " path=%s", a.path);
  if (a.user) buf_printf(b, " user=%s", a.user);
  if (a.password) buf_printf(b, " password=%s", a.password);
  if (a.master) buf_printf(b, " master=%s", a.master);
  if (a.ca) buf_printf(b, " ca=%s", a.ca);
  buf_printf(b, " db=%u", a.db);
  char *prefix = redis_address_take(&a, "prefix");
  if (prefix) buf_printf(b, " prefix=%s", prefix);
  free(prefix);
  for (unsigned i = 0; i < a.option_count; i++)
    buf_printf(b, " %s=%s", a.options[i].name, a.options[i].value);
  redis_address_deinit(&a);
  lua_pushlstring(L, b->bytes, b->len);
  return 1;
}

// harness.redis_slot(key)
static int probe_slot(lua_State *L) {
  struct span key;
  key.bytes = luaL_checklstring(L, 1, &key.len);
  lua_pushinteger(L, redis_slot(key));
  return 1;
}

void redis_probe_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"turn", probe_turn},
                                     {"advance", probe_advance},
                                     {"ask", probe_ask},
                                     {"leave", probe_leave},
                                     {"subscribe", probe_subscribe},
                                     {"unsubscribe", probe_unsubscribe},
                                     {"then_do", probe_then},
                                     {"connections", probe_connections},
                                     {"take", probe_take},
                                     {"give", probe_give},
                                     {"hang_up", probe_hang_up},
                                     {"narrow", probe_narrow},
                                     {"refuse", probe_refuse},
                                     {"waiting", probe_waiting},
                                     {"close", probe_close},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"redis", probe_new}, {"redis_address", probe_address}, {"redis_slot", probe_slot}, {NULL, NULL}};
  class_new(L, REDIS, methods, probe_close);
  luaL_setfuncs(L, functions, 0);
}
