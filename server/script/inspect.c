// SPDX-License-Identifier: MIT
// What an application is loaded in when nobody is to be served: a state with all of the library, on a loop
// that never polls and a clock that stands. on_start functions do not run.
#include "script/inspect.h"
#include "base/clock.h"
#include "base/mem.h"
#include "script/app.h"
#include "script/bench.h"
#include "script/watchdog.h"

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
  struct manual_clock clock;
  char *text = NULL;
  manual_clock_init(&clock, 0);
  bench_init(&b, &clock.clock, false);
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
