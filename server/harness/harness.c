// SPDX-License-Identifier: MIT
// A server for specs: a Lua C module that takes the place of the process. One worker without a thread, a
// clock that stands until it is moved, clients in memory. The application runs in a Lua state of its own, as
// in the server.
#include "harness/harness.h"
#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "client/file_watch.h"
#include "client/process.h"
#include "event/broker.h"
#include "event/shared.h"
#include "harness/client.h"
#include "harness/mux.h"
#include "harness/probe.h"
#include "harness/server.h"
#include "harness/stub_fetcher.h"
#include "harness/stubs.h"
#include "harness/test_store.h"
#include "harness/tls_client.h"
#include "loop/transport_tls.h"
#include "script/app.h"
#include "script/bindings.h"
#include "script/class.h"
#include "script/generations.h"
#include "script/long_turns.h"
#include "script/lua_certificates.h"
#include "script/lua_settings.h"
#include "script/watchdog.h"
#include "serve/conn.h"
#include "serve/connections.h"
#include "serve/kick.h"

enum { REDIRECT_PORT = 8443 };

static int watched; // servers whose scripts have a limit of time

static void on_request(struct service *s, struct stream *stream) {
  generations_begin(&container_of(s, struct harness, service)->generations, stream);
}

static void on_spent(struct generations *g, struct vm *vm) {
  (void)g;
  app_free(vm);
}

static void on_started(struct generations *g, char *error) {
  container_of(g, struct harness, generations)->start_error = error;
}

// Whose connection this transport is; NULL where the client has been collected.
static struct client *client_over(const struct harness *h, const struct transport *t) {
  list_each (node, &h->clients) {
    struct client *c = container_of(node, struct client, link);
    if (c->top == t) return c;
  }
  return NULL;
}

static void on_end(struct stream *stream, int reason) {
  struct transport *t = conn_of(stream->carrier)->transport;
  struct harness *h = container_of(stream_service(stream), struct harness, service);
  struct client *c = t->is_secure
                         ? client_over(h, t)
                         : container_of(container_of(t, struct memory_peer, transport), struct client, peer);
  if (c) c->reason = close_reason_name((enum close_reason)reason);
}

static struct proto *new_proto(struct transport *t, const struct proto_sink *sink,
                               const struct proto_limits *limits) {
  return t->protocol == PROTOCOL_MUX ? mux_new(sink, limits) : NULL;
}

static const struct service_ops service_ops = {
    .on_request = on_request, .on_end = on_end, .new_proto = new_proto};

static double option(lua_State *L, const char *name, double otherwise) {
  if (!lua_istable(L, 1)) return otherwise;
  lua_getfield(L, 1, name);
  double value = lua_isnil(L, -1)                               ? otherwise
                 : lua_toboolean(L, -1) && !lua_isnumber(L, -1) ? 1
                                                                : lua_tonumber(L, -1);
  lua_pop(L, 1);
  return value;
}

static void open_server(struct harness *h, int worker, bool has_threads) {
  if (!h->broker) {
    h->broker = &h->own_broker;
    broker_init(h->broker, settings_broker_limits(&h->settings));
    h->shared = &h->own_shared;
    shared_registry_init(h->shared, h->settings.limits.shared);
  }
  if (!h->process) {
    h->process = &h->own_process;
    metrics_init(&h->process->metrics);
    groups_init(&h->own_groups);
    h->process->groups = &h->own_groups;
    tls_keys_init(&h->own_process.tls_keys, &h->clock.clock);
  }
  h->events_before = event_count() - (long)broker_counters(h->broker).events;
  inbox_init(&h->inbox, &h->loop);
  service_init(&h->service, &h->loop, &h->settings, &service_ops);
  connections_init(&h->service);
  h->service.inbox = &h->inbox;
  h->service.broker = h->broker;
  h->service.shared = h->shared;
  h->service.process = h->process, h->service.subject = h->subject;
  processes_init(&h->processes, &h->service);
  h->service.processes = &h->processes;
  service_open_pools(&h->service, has_threads);
  file_watcher_init(&h->file_watcher, &h->loop);
  h->service.file_watcher = &h->file_watcher;
  stub_fetcher_init(&h->fetcher, &h->service, h->stubs);
  spec_asks_init(&h->asks);
  stub_redis_init(&h->redis, &h->loop);
  h->service.redis_home = &h->redis.home;
  long_turns_watch(&h->long_turns, &h->service, worker);
  metrics_add_worker(&h->process->metrics, &h->service);
  generations_init(&h->generations, &h->service, &h->loop, on_spent, on_started);
  coverage_init(&h->coverage);
  admission_ref(&h->process->admission, h->settings.limits.connections,
                h->settings.limits.connections_per_address);
  harness_capture_log(h);
  log_configure((enum log_level)h->settings.log.level, (enum log_format)h->settings.log.format);
  h->is_open = true;
}

// The server with which the new one shares what the workers of a process share. It is kept as the new one's
// user value, so that it is collected later.
static void share_with(lua_State *L, struct harness *h) {
  if (!lua_istable(L, 1) || lua_getfield(L, 1, "with") == LUA_TNIL) return;
  struct harness *other = luaL_checkudata(L, -1, HARNESS_SERVER);
  luaL_argcheck(L, other->is_open, 1, "the server to share with is closed");
  h->owner = other->owner ? other->owner : other;
  h->owner->guests++;
  h->broker = other->broker, h->shared = other->shared;
  if (option(L, "admin", 0) > 0) h->subject = other->process;
  else h->process = other->process;
  lua_setiuservalue(L, 2, 1);
}

static void take_stubs(lua_State *L, struct harness *h) {
  if (lua_istable(L, 1) && lua_getfield(L, 1, "stubs") != LUA_TNIL) {
    h->stubs = stubs_check(L, -1), h->settings.dev.spec = true;
    lua_setiuservalue(L, 2, 2);
  }
  lua_settop(L, 2);
}

// Reads the certificates of the settings, for new connections; what is wrong is allocated.
static bool use_certificates(struct harness *h, char **error) {
  char why[TLS_ERROR_MAX];
  struct tls_hosts *hosts = tls_hosts_new(&h->settings.tls, &h->process->tls_keys, why);
  if (hosts) tls_server_use(&h->service.tls, hosts);
  else *error = xstrdup(why);
  return hosts;
}

static int raise_error_of(lua_State *L, char *error) {
  lua_pushstring(L, error);
  free(error);
  return lua_error(L);
}

// harness.new{ epoch =, worker =, watch =, with =, admin =, coverage =, dev =, inject =, store =, stubs =,
// blocks =, threads =, told =, settings = {...} }: a server without an application; `blocks` gives it the
// function block(seconds), `threads` its pools real threads, `admin` has it look after the server that it is
// `with`, `told` has it collect garbage when it is told, and not by itself.
static int harness_new(lua_State *L) {
  char *error = NULL;
  lua_settop(L, 1);
  struct harness *h = lua_newuserdatauv(L, sizeof *h, 3);
  *h = (struct harness){.settings = settings_default(), .door.fd = -1};
  list_init(&h->clients);
  list_init(&h->over);
  luaL_setmetatable(L, HARNESS_SERVER);
  if (lua_istable(L, 1) && lua_getfield(L, 1, "settings") == LUA_TTABLE)
    settings_read(L, lua_gettop(L), &h->settings);
  lua_settop(L, 2);
  share_with(L, h);
  lua_settop(L, 2);
  take_stubs(L, h);
  h->settings.dev.on = option(L, "dev", 0) > 0, h->settings.dev.inject = option(L, "inject", 0) > 0;
  manual_clock_init(&h->clock, option(L, "epoch", 0));
  bool has_loop = loop_init(&h->loop, &h->clock.clock, true) == 0;
  if (!has_loop) {
    if (h->owner) h->owner->guests--;
    return luaL_error(L, "no descriptors for an event loop: raise `ulimit -n`");
  }
  const char *io_uring = getenv("SPATE_IO_URING");
  if (!io_uring || strcmp(io_uring, "off") != 0) loop_open_batch_of_memory(&h->loop);
  open_server(h, (int)option(L, "worker", 0), option(L, "threads", 0) > 0);
  h->blocks = option(L, "blocks", 0) > 0;
  if (!h->owner) kick_listener(h->process);
  if (!h->owner && *h->settings.store.url && !harness_open_store(h, &error)) return raise_error_of(L, error);
  if (h->settings.tls.count && !use_certificates(h, &error)) return raise_error_of(L, error);
  if (option(L, "store", 0) > 0) test_store_init(&h->store, &h->own_broker, &h->clock.clock);
  h->is_traced = option(L, "coverage", 0) > 0, h->collects_when_told = option(L, "told", 0) > 0;
  h->vm = harness_new_vm(h, (int)option(L, "worker", 0), 1, (struct vm_faults){0}, &error);
  if (!h->vm) return raise_error_of(L, error);
  h->is_watched = option(L, "watch", 0) > 0;
  if (h->is_watched && !watched++) watchdog_start(&h->settings);
  return 1;
}

// server:connect([address [, how [, bytes]]]): a client of HTTP/1, which may have sent something already;
// where `how` is "mux" of that (harness/mux.h), where it is "closed" one whose connection carries no bytes
// before client:open(), where it is "full" one that there is no descriptor for, "tls" one that speaks that,
// "redirect" one to an address that sends all to https at REDIRECT_PORT. Where it listens they wait to be
// accepted.
static int server_connect(lua_State *L) {
  struct harness *h = check_server(L);
  const char *address = luaL_optstring(L, 2, "127.0.0.1");
  size_t len;
  const char *bytes = luaL_optlstring(L, 4, "", &len);
  lua_settop(L, 4);
  struct client *c = client_push(L, address);
  c->peer.batch = h->loop.batch, c->peer.clock = &h->clock;
  const char *how = luaL_optstring(L, 3, "");
  if (!strcmp(how, "mux")) c->peer.transport.protocol = PROTOCOL_MUX;
  c->peer.is_closed = !strcmp(how, "closed");
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  list_append(&h->clients, &c->link);
  buf_append(&c->peer.to_server, bytes, len);
  c->top = &c->peer.transport;
  if (!strcmp(how, "tls")) c->top = transport_tls_new(&h->service.tls, c->top);
  if (!strcmp(how, "redirect")) c->top->redirect_port = REDIRECT_PORT;
  if (c->top && h->door.fd >= 0) {
    if (door_knock(h, c) < 0) return luaL_error(L, "no socket for a client");
  } else if (c->top && !strcmp(how, "full")) connections_turn_away(&h->service, c->top);
  else if (c->top) connections_accept(&h->service, c->top);
  return 1;
}

// server:listen(): clients come by a listening socket from now on, in slices.
static int server_listen(lua_State *L) {
  return door_open(check_server(L)) < 0 ? luaL_error(L, "no socket to listen on") : 0;
}

// server:read_certificates(): true, or nil and why the old ones stay.
static int server_read_certificates(lua_State *L) {
  char *error = NULL;
  if (!use_certificates(check_server(L), &error)) return harness_push_error(L, error);
  lua_pushboolean(L, 1);
  return 1;
}

// server:run(code): the string that `code` returns in the application's state; nil and the message.
static int server_run(lua_State *L) {
  struct harness *h = check_server(L);
  size_t len;
  const char *code = luaL_checklstring(L, 2, &len);
  buf_reset(&h->answer, 0);
  harness_capture_log(h);
  bool ok = probe_run(h->vm, (struct span){code, len}, &h->answer);
  if (!ok) lua_pushnil(L);
  push_span(L, buf_span(&h->answer));
  return ok ? 1 : 2;
}

// server:coverage(): { [path] = { [line] = times } }
static int server_coverage(lua_State *L) {
  coverage_push(&check_server(L)->coverage, L);
  return 1;
}

// server:drain(): what a stop signal does.
static int server_drain(lua_State *L) {
  struct harness *h = check_server(L);
  generations_stop(&h->generations);
  if (h->door.fd >= 0) listener_empty(&h->door.listener);
  door_close(h);
  connections_drain(&h->service);
  harness_settle(h);
  return 0;
}

// server:store(): what its channels are kept in.
static int server_store(lua_State *L) {
  struct harness *h = check_server(L);
  luaL_argcheck(L, h->store.is_open || h->sqlite || h->redis_store, 1, "made without a store");
  if (h->redis_store) store_probe_push(L, 1, &h->redis_store);
  else if (h->sqlite) sqlite_probe_push(L, 1, &h->sqlite);
  else test_store_push(L, 1, &h->store);
  return 1;
}

// server:log(): what has been logged since the last call.
static int server_log(lua_State *L) {
  struct harness *h = check_server(L);
  push_span(L, buf_span(&h->log));
  buf_reset(&h->log, 0);
  return 1;
}

// server:close(): how many timers its parts have left behind.
static int server_close(lua_State *L) {
  struct harness *h = luaL_checkudata(L, 1, HARNESS_SERVER);
  if (!h->is_open) return 0;
  luaL_argcheck(L, !h->guests, 1, "close the servers first that share with it");
  h->is_open = false;
  harness_capture_log(h);
  door_close(h);
  connections_close(&h->service);
  if (h->is_watched && !--watched) watchdog_stop();
  if (h->vm && !h->vm->is_attached) app_free(h->vm);
  if (h->built) app_free(h->built);
  generations_deinit(&h->generations);
  processes_deinit(&h->processes, h->settings.timeouts.kill);
  service_close_pools(&h->service);
  metrics_remove_worker(&h->process->metrics, &h->service);
  connections_deinit(&h->service);
  stub_fetcher_deinit(&h->fetcher);
  spec_asks_deinit(&h->asks, L);
  stub_redis_deinit(&h->redis, L);
  file_watcher_deinit(&h->file_watcher);
  service_deinit(&h->service);
  struct test_store *store = h->owner ? &h->owner->store : &h->store;
  if (store->is_open) test_store_refuse(store);
  if (h->store.is_open) test_store_deinit(&h->store);
  if (h->owner && h->owner->sqlite)
    while (sqlite_store_work(h->owner->sqlite)) continue;
  harness_close_stores(h);
  admission_unref(&h->process->admission);
  inbox_deinit(&h->inbox);
  if (h->owner) h->owner->guests--;
  else broker_deinit(h->broker), shared_registry_deinit(h->shared);
  if (h->process == &h->own_process)
    tls_keys_deinit(&h->own_process.tls_keys), metrics_deinit(&h->process->metrics),
        groups_deinit(&h->own_groups);
  lua_pushinteger(L, (lua_Integer)h->loop.timers.count);
  loop_deinit(&h->loop);
  log_capture(NULL, NULL);
  buf_deinit(&h->log);
  buf_deinit(&h->answer);
  coverage_deinit(&h->coverage);
  while (list_shift(&h->clients) || list_shift(&h->over)) continue;
  return 1;
}

// server:answer_by(fn), answer(number, ...): harness/spec_asks.h
static int server_answer_by(lua_State *L) { return spec_asks_answer_by(L, &check_server(L)->asks); }
static int server_answer(lua_State *L) { return spec_asks_answer(L, &check_server(L)->asks); }
// server:redis(fn), redis_give(n, bytes [, after]), redis_cut([n]), redis_refuse(on): harness/stub_redis.h
static int server_redis(lua_State *L) { return stub_redis_answer_by(L, &check_server(L)->redis); }
static int server_redis_give(lua_State *L) { return stub_redis_give(L, &check_server(L)->redis); }
static int server_redis_cut(lua_State *L) { return stub_redis_cut(L, &check_server(L)->redis); }

static int server_redis_refuse(lua_State *L) {
  check_server(L)->redis.refuses = lua_toboolean(L, 2);
  return 0;
}

__attribute__((visibility("default"))) int luaopen_spate_harness(lua_State *L) {
  static const luaL_Reg server_methods[] = {{"connect", server_connect},
                                            {"listen", server_listen},
                                            {"read_certificates", server_read_certificates},
                                            {"run", server_run},
                                            {"coverage", server_coverage},
                                            {"drain", server_drain},
                                            {"stats", server_stats},
                                            {"store", server_store},
                                            {"told", server_told},
                                            {"log", server_log},
                                            {"answer_by", server_answer_by},
                                            {"answer", server_answer},
                                            {"redis", server_redis},
                                            {"redis_give", server_redis_give},
                                            {"redis_cut", server_redis_cut},
                                            {"redis_refuse", server_redis_refuse},
                                            {"close", server_close},
                                            {NULL, NULL}};
  class_new(L, HARNESS_SERVER, server_methods, server_close);
  luaL_getmetatable(L, HARNESS_SERVER);
  lua_getfield(L, -1, "__index");
  luaL_setfuncs(L, time_methods, 0);
  luaL_setfuncs(L, state_methods, 0);
  lua_pop(L, 2);
  client_open(L);
  test_store_open(L);
  sqlite_probe_open(L);
  store_probe_open(L);
  lua_newtable(L);
  lua_pushcfunction(L, harness_new);
  lua_setfield(L, -2, "new");
  probe_open(L);
  json_open(L, settings_default().limits.json_depth);
  lua_setfield(L, -2, "json");
  rerun_open(L);
  loop_prepare_process();
  loop_probe_open(L);
  crowd_probe_open(L);
  refusal_open(L);
  hpack_open(L);
  turn_probe_open(L);
  tls_probe_open(L);
  control_probe_open(L);
  socket_probe_open(L);
  batch_probe_open(L);
  redis_probe_open(L);
  pool_probe_open(L);
  event_probe_open(L);
  inflate_probe_open(L);
  heap_probe_open(L);
  stubs_open(L);
  tls_client_open(L);
  lua_certificates_open(L);
  signal(SIGPIPE,
         SIG_IGN); // both as the server does: a program that does not read is no end of who writes to it
  signal(SIGCHLD, SIG_DFL);
  return 1;
}
