// SPDX-License-Identifier: MIT
// What is alive in a server in memory, and what it has counted.
#include "harness/server.h"
#include "script/vm.h"

int harness_held_refs(const struct vm *vm) { return vm->refs - vm->pooled - (int)vm->gauges.tasks; }

static void set(lua_State *L, const char *name, double n) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, name);
}

int server_stats(lua_State *L) {
  struct harness *h = check_server(L);
  const struct counters *c = &h->service.counters;
  lua_newtable(L);
  set(L, "connections", (double)c->connections_open);
  set(L, "processes", (double)c->processes);
  set(L, "streams", (double)c->streams_open);
  set(L, "requests_total", (double)c->requests_total);
  set(L, "events_total", (double)c->events_total);
  set(L, "slow_total", (double)c->slow_total);
  double refused = 0, turned_away = (double)c->refused_total[LIMIT_CONNECTIONS] +
                                    (double)c->refused_total[LIMIT_CONNECTIONS_PER_ADDRESS];
  for (size_t i = 0; i < LIMIT_COUNT; i++) refused += (double)c->refused_total[i];
  set(L, "refused_total", refused - turned_away);
  set(L, "tls_handshakes_total", (double)c->tls.handshakes_total);
  set(L, "tls_resumed_total", (double)c->tls.resumed_total);
  set(L, "tls_refused_total", (double)c->tls.refused_total);
  set(L, "tls_truncated_total", (double)c->tls.truncated_total);
  set(L, "connections_refused_total", turned_away);
  set(L, "lua_bytes", (double)h->vm->gauges.lua_bytes);
  size_t tasks = 0, request_tasks = 0, generations = 0, own_timers = 0, comments = 0;
  list_each (node, &h->generations.vms) {
    const struct vm *vm = container_of(node, struct vm, link);
    generations++, tasks += vm->gauges.tasks, request_tasks += probe_tasks(vm),
        comments += vm->comment != NULL;
    own_timers += timer_is_armed(&vm->gc_timer);
  }
  own_timers += h->generations.aging_count;
  // Two events are the service's, what ends a body; one at most each state's keep-alive comment; a history
  // keeps its own.
  struct broker_counters channels = broker_counters(h->broker);
  double kept = h->store.is_open ? (double)test_store_events(&h->store) : 0;
  set(L, "events",
      (double)(event_count() - h->events_before - 2 - (long)comments) - (double)channels.events - kept);
  set(L, "channels", (double)channels.channels);
  set(L, "channel_bytes", (double)channels.bytes);
  set(L, "generations", (double)generations);
  set(L, "tasks", (double)tasks);
  set(L, "request_tasks", (double)request_tasks);
  set(L, "timers", (double)(h->loop.timers.count - own_timers));
  set(L, "files", (double)c->files_followed);
  set(L, "refs", harness_held_refs(h->vm) - h->refs_before);
  return 1;
}
