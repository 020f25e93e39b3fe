// SPDX-License-Identifier: MIT
// A family is a light userdata, since it lives as long as the process. What the arguments are is the
// library's to check.
#include <lauxlib.h>
#include "base/buf.h"
#include "script/bindings.h"
#include "script/class.h"
#include "script/vm.h"
#include "serve/own_metrics.h"
#include "serve/pool_gauges.h"
#include "serve/process_figures.h"
#include "serve/routes.h"

static struct metrics *metrics_of(lua_State *L) { return &service_subject(vm_of(L)->service)->metrics; }

// core.metrics_text(as_openmetrics): all that is counted.
static int core_metrics_text(lua_State *L) {
  const struct service *s = vm_of(L)->service;
  bool as_openmetrics = lua_toboolean(L, 1);
  struct buf *out = push_buf(L);
  const struct figures f = metrics_read(service_subject(s), s->broker, s->shared);
  metrics_expose(out, &f, as_openmetrics);
  routes_expose(out, metrics_of(L), as_openmetrics);
  pool_gauges_expose(out, metrics_of(L));
  own_metrics_expose(out, &metrics_of(L)->own, as_openmetrics);
  process_figures_expose(out, as_openmetrics);
  if (as_openmetrics) buf_printf(out, "# EOF\n");
  push_span(L, buf_span(out));
  return 1;
}

// The list of numbers at `index` into `bounds`; how many.
static size_t read_bounds(lua_State *L, int index, double bounds[OWN_BOUNDS_MAX]) {
  size_t count = lua_istable(L, index) ? lua_rawlen(L, index) : 0;
  luaL_argcheck(L, count <= OWN_BOUNDS_MAX, index, "too many");
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, index, (lua_Integer)i + 1);
    bounds[i] = luaL_checknumber(L, -1);
    lua_pop(L, 1);
  }
  return count;
}

// core.metric("counter" | "gauge" | "histogram", name, help, labels, bounds): a family; nil and why not.
static int core_metric(lua_State *L) {
  static const char *const types[] = {"counter", "gauge", "histogram", NULL};
  double bounds[OWN_BOUNDS_MAX];
  const struct own_shape shape = {.type = (enum own_type)luaL_checkoption(L, 1, NULL, types),
                                  .name = luaL_checkstring(L, 2),
                                  .help = luaL_checkstring(L, 3),
                                  .labels = luaL_checkstring(L, 4),
                                  .bounds = bounds,
                                  .bound_count = read_bounds(L, 5, bounds)};
  const char *why;
  if (!vm_of(L)->service->process) return lua_pushlightuserdata(L, NULL), 1; // nothing is served
  struct own_metric *f = own_metric_define(&metrics_of(L)->own, &shape, &why);
  if (f) return lua_pushlightuserdata(L, f), 1;
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}

static int change(lua_State *L, bool (*act)(struct own_metrics *m, struct own_metric *f, struct span labels,
                                            double value)) {
  struct own_metric *f = lua_touserdata(L, 1);
  struct span labels;
  labels.bytes = luaL_checklstring(L, 2, &labels.len);
  lua_pushboolean(L, !f || act(&metrics_of(L)->own, f, labels, luaL_checknumber(L, 3)));
  return 1;
}

// core.metric_add(family, labels, value), core.metric_set: false where it has too many series.
static int core_metric_add(lua_State *L) { return change(L, own_metric_add); }

static int core_metric_set(lua_State *L) { return change(L, own_metric_set); }

// core.pools(): a list of { name, in_use, idle, waiting, limit }.
static int core_pools(lua_State *L) {
  struct pool_sum sums[POOLS_MAX];
  size_t count = pool_gauges_sum(metrics_of(L), sums);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    const struct pool_load *l = &sums[i].load;
    const struct {
      const char *name;
      uint64_t value;
    } numbers[] = {{"in_use", l->in_use}, {"idle", l->idle}, {"waiting", l->waiting}, {"limit", l->limit}};
    lua_createtable(L, 0, 5);
    lua_pushstring(L, sums[i].name);
    lua_setfield(L, -2, "name");
    for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) {
      lua_pushinteger(L, (lua_Integer)numbers[n].value);
      lua_setfield(L, -2, numbers[n].name);
    }
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

// core.count_refused("rate_limit" | "stream_limit" | "durable_streams")
static int core_count_refused(lua_State *L) {
  static const char *const names[] = {"rate_limit", "stream_limit", "durable_streams", NULL};
  static const enum limit limits[] = {LIMIT_RATE, LIMIT_STREAMS, LIMIT_DURABLE};
  service_refused(vm_of(L)->service, limits[luaL_checkoption(L, 1, NULL, names)]);
  return 0;
}

static const char CYCLE[] = "spate.cycle";

// A cycle of the collector has found the last one of these, which nobody holds: the next finds the next.
// While a state is closed, which makes no more of them, another thread runs this.
static int on_cycle(lua_State *L) {
  __atomic_fetch_add(&vm_of(L)->service->counters.collections_total, 1, __ATOMIC_RELAXED);
  lua_newuserdatauv(L, 0, 0);
  luaL_setmetatable(L, CYCLE);
  return 0;
}

static void watch_cycles(lua_State *L) {
  luaL_newmetatable(L, CYCLE);
  lua_pushcfunction(L, on_cycle);
  lua_setfield(L, -2, "__gc");
  lua_newuserdatauv(L, 0, 0);
  lua_insert(L, -2);
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

void metrics_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"metrics_text", core_metrics_text},
                                       {"metric", core_metric},
                                       {"metric_add", core_metric_add},
                                       {"metric_set", core_metric_set},
                                       {"count_refused", core_count_refused},
                                       {"pools", core_pools},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  if (vm_of(L)->service->process) watch_cycles(L);
}
