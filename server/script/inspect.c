// SPDX-License-Identifier: MIT
// What an application is loaded in when nobody is to be served: a state with all of the library, on a loop
// that never polls and a clock that stands. on_start functions do not run.
#include "script/inspect.h"
#include "base/clock.h"
#include "base/mem.h"
#include "event/broker.h"
#include "event/shared.h"
#include "loop/inbox.h"
#include "script/app.h"
#include "script/watchdog.h"
#include "serve/service.h"

struct bench {
  struct manual_clock clock;
  struct loop loop;
  struct inbox inbox;
  struct settings settings;
  struct broker broker;
  struct shared_registry shared;
  struct service service;
  struct process_state process;
};

static void on_request(struct service *s, struct stream *stream) { (void)s, (void)stream; }

static const struct service_ops service_ops = {.on_request = on_request};

static void bench_init(struct bench *b) {
  *b = (struct bench){.settings = settings_default()};
  manual_clock_init(&b->clock, 0);
  loop_init(&b->loop, &b->clock.clock, false);
  inbox_init(&b->inbox, &b->loop);
  broker_init(&b->broker, (struct broker_limits){b->settings.limits.channels,
                                                 b->settings.limits.channel_bytes, b->settings.limits.inbox});
  metrics_init(&b->process.metrics);
  shared_registry_init(&b->shared, b->settings.limits.shared);
  service_init(&b->service, &b->loop, &b->settings, &service_ops);
  b->service.inbox = &b->inbox, b->service.broker = &b->broker;
  b->service.shared = &b->shared, b->service.process = &b->process;
}

static void bench_deinit(struct bench *b) {
  service_deinit(&b->service);
  inbox_deinit(&b->inbox);
  broker_deinit(&b->broker);
  shared_registry_deinit(&b->shared);
  loop_deinit(&b->loop);
  metrics_deinit(&b->process.metrics);
}

// look(module, path): what the module's function returns, a text.
static int inspect_look(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  lua_pushvalue(L, 2);
  lua_call(L, 1, 1);
  luaL_checkstring(L, -1);
  return 1;
}

char *inspect(const char *module, const char *path, char **error) {
  struct bench b;
  char *text = NULL;
  bench_init(&b);
  struct vm_config config = {
      .service = &b.service, .loop = &b.loop, .settings = &b.settings, .worker = 0, .generation = 1};
  watchdog_start(&b.settings);
  struct vm *vm = app_new(&config, error);
  if (vm) {
    lua_pushcfunction(vm->L, inspect_look);
    lua_pushstring(vm->L, module);
    lua_pushstring(vm->L, path);
    bool ok = vm_pcall(vm, 2, 1) == LUA_OK;
    const char *result = lua_tostring(vm->L, -1);
    *(ok ? &text : error) = xstrdup(result ? result : "an error value that is no text");
    lua_pop(vm->L, 1);
    app_free(vm);
  }
  watchdog_stop();
  bench_deinit(&b);
  return text;
}
