// SPDX-License-Identifier: MIT
// A call into a state of its own on another thread, as an errand: arguments and results are copied, and what
// the function raises comes back as a value, which the library raises again.
#include <lauxlib.h>
#include <stdlib.h>
#include "base/mem.h"
#include "script/bindings.h"
#include "script/copy.h"
#include "script/errand.h"
#include "script/offload.h"
#include "script/raise.h"
#include "script/vm.h"

enum { ARGS_MAX = 200 };

struct offload_errand {
  struct errand errand;
  struct offload *offload;
  bool is_alone;
  struct offload_call call;
};

static struct offload_errand *offload_errand_of(struct errand *e) {
  return container_of(e, struct offload_errand, errand);
}

static void offload_errand_run(struct errand *e) {
  struct offload_errand *o = offload_errand_of(e);
  struct offload_call *c = &o->call;
  offload_run(o->offload, c, o->is_alone);
  size_t len = c->results.len;
  if (errand_hold(e, len)) return;
  buf_deinit(&c->results);
  c->failure = xasprintf("%s.%s: results of %zu bytes: more waits than limits.work allows", c->module,
                         c->function, len);
}

// true and the results; false, what was raised, and its traceback; false and what else went wrong.
static int offload_errand_push(lua_State *L, struct errand *e) {
  struct offload_call *c = &offload_errand_of(e)->call;
  struct span in = buf_span(&c->results);
  bool ok = !c->failure && !c->trace;
  lua_pushboolean(L, ok);
  if (c->failure) return lua_pushstring(L, c->failure), 2;
  int count = ok ? c->result_count : 1;
  luaL_checkstack(L, count + 1, "too many results");
  for (int i = 0; i < count; i++) copy_read(L, &in);
  if (ok) return count + 1;
  lua_pushstring(L, c->trace);
  return 3;
}

static void offload_errand_free(struct errand *e) {
  struct offload_errand *o = offload_errand_of(e);
  offload_call_deinit(&o->call);
  offload_unref(o->offload);
  free(o);
}

static const struct errand_ops offload_ops = {
    .run = offload_errand_run, .push = offload_errand_push, .free = offload_errand_free};

static void copy_args(lua_State *L, struct offload_call *c, int count, size_t max) {
  for (int i = 3; i <= count; i++) {
    if (!copy_write(L, i, &c->args, max))
      lua_pushfstring(L, "spate.offload: argument %d%s", i, lua_tostring(L, -1)), raise_top(L);
    c->arg_count++;
  }
}

// core.offload(module, function, ...): what the errand pushes; nil, a message, "busy".
static int core_offload(lua_State *L) {
  struct vm *vm = vm_of(L);
  int count = lua_gettop(L);
  const char *module = luaL_checkstring(L, 1), *function = luaL_checkstring(L, 2);
  if (count > ARGS_MAX) return raise_error(L, "spate.offload: more than %d arguments", ARGS_MAX);
  struct task *t = task_check(L, "spate.offload");
  struct offload *offload = offload_of(L);
  struct held **box = held_push_closed(L);
  struct offload_errand *o = xcalloc(1, sizeof *o);
  o->offload = offload_ref(offload);
  o->is_alone = vm->service->pools[WORK_OFFLOAD].limits.threads > 0;
  o->call.module = xstrdup(module), o->call.function = xstrdup(function);
  errand_put(L, box, &o->errand, &offload_ops);
  copy_args(L, &o->call, count, vm->settings->offload.bytes);
  if (!errand_hold(&o->errand, o->call.args.len)) return errand_push_busy(L, "spate.offload");
  return errand_wait(L, t, count + 1, WORK_OFFLOAD, "spate.offload");
}

void offload_open(lua_State *L) {
  lua_pushcfunction(L, core_offload);
  lua_setfield(L, -2, "offload");
}
