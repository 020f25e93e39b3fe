// SPDX-License-Identifier: MIT
// The loop runs until the task has ended, and what it has left behind goes with its state.
#include "script/alone.h"
#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "client/http_client.h"
#include "client/redis_link.h"
#include "script/app.h"
#include "script/bench.h"
#include "script/task.h"
#include "script/watchdog.h"

struct alone {
  struct bench bench;
  const char *module, *text;
  int code;
  char *message;
};

static struct alone *alone_of(const struct vm *vm) {
  return container_of(vm->service, struct alone, bench.service);
}

static int returned(lua_State *L, int status, lua_KContext context) {
  struct alone *a = alone_of(vm_of(L));
  (void)status, (void)context;
  a->code = (int)luaL_checkinteger(L, -2);
  if (lua_isstring(L, -1)) a->message = xstrdup(lua_tostring(L, -1));
  return 0;
}

static int run(lua_State *L) {
  const struct alone *a = lua_touserdata(L, 1);
  lua_getglobal(L, "require");
  lua_pushstring(L, a->module);
  lua_call(L, 1, 1);
  lua_pushstring(L, a->text);
  lua_callk(L, 1, 2, 0, returned);
  return returned(L, LUA_OK, 0);
}

static void on_end(struct task *t, int status) {
  struct alone *a = alone_of(t->vm);
  if (status != LUA_OK && !a->message)
    a->message = xstrdup(lua_isstring(t->co, -1) ? lua_tostring(t->co, -1) : "it was ended");
  loop_stop(&a->bench.loop);
}

static const struct task_ops task_ops = {.on_end = on_end};

static void run_in(struct alone *a, struct vm *vm) {
  app_attach(vm);
  if (task_start(vm, run, a, &task_ops)) loop_run(&a->bench.loop);
  else a->message = xstrdup("out of memory");
  app_detach(vm, &a->bench.loop);
  app_free(vm);
}

int run_alone(const char *module, const char *text, char **message) {
  struct alone a = {.module = module, .text = text, .code = -1};
  loop_prepare_process();
  signal(SIGPIPE, SIG_IGN); // of a connection as of the terminal: whoever writes is told
  http_client_prepare_process();
  if (bench_init(&a.bench, clock_system(), true) < 0) {
    *message = xstrdup("no descriptors for an event loop: raise `ulimit -n`");
    return -1;
  }
  struct service *s = &a.bench.service;
  service_open_pools(s, true);
  s->fetcher = http_client_new(s);
  struct resolver *resolver = resolver_new(s->loop, s->inbox, &s->pools[WORK_NAMES]);
  struct redis_home redis_home;
  redis_home_init(&redis_home, s->loop, resolver);
  s->redis_home = &redis_home;
  struct vm_config config = {
      .service = s, .loop = &a.bench.loop, .settings = &a.bench.settings, .worker = 0, .generation = 1};
  watchdog_start(&a.bench.settings);
  struct vm *vm = app_new(&config, &a.message);
  if (vm) run_in(&a, vm);
  watchdog_stop();
  service_close_pools(s);
  http_client_free(s->fetcher);
  redis_home_deinit(&redis_home);
  resolver_free(resolver);
  bench_deinit(&a.bench);
  *message = a.message;
  return a.code;
}
