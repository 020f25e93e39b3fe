// SPDX-License-Identifier: MIT
// A state is one call's at a time: taken from the idle ones, or made, and put back. It is closed where it ran
// out of memory or time, or where the application's state has gone meanwhile, by whoever ran in it then; the
// idle ones are closed with the application's state. The lock guards the list and the count, and is never
// held while Lua runs.
#include "script/offload.h"
#include <lauxlib.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include "base/lock.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "script/copy.h"
#include "script/held.h"
#include "script/lua_report.h"
#include "script/raise.h"
#include "script/vm.h"
#include "script/watchdog.h"

struct offload {
  struct held held; // by the application's state, without a box
  pthread_mutex_t lock;
  struct list idle; // behind the lock, as are these
  unsigned refs;    // the state's, and one for each call
  bool is_left;     // the state has gone
  struct settings settings;
  struct service *service;
  int worker;
  unsigned generation;
  lua_CFunction open;
  char *app, *path, *cpath;
};

struct helper {
  struct list link;
  struct loop loop; // without poll: a clock
  struct vm *vm;
};

static void helper_free(struct helper *h) {
  if (h->vm) vm_free(h->vm);
  loop_deinit(&h->loop);
  free(h);
}

static void set_text(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

// open_state(function that opens the library, vm, offload)
static int open_state(lua_State *L) {
  const struct offload *o = lua_touserdata(L, 3);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_call(L, 1, 0);
  lua_getglobal(L, "package");
  set_text(L, "path", o->path);
  set_text(L, "cpath", o->cpath);
  return 0;
}

// NULL, and why, where memory is too short.
static struct helper *helper_new(struct offload *o, char **error) {
  struct helper *h = xcalloc(1, sizeof *h);
  struct vm_config config = {.service = o->service,
                             .loop = &h->loop,
                             .settings = &o->settings,
                             .worker = o->worker,
                             .generation = o->generation,
                             .is_helper = true};
  list_init(&h->link);
  loop_init(&h->loop, o->service->loop->clock, false);
  h->vm = vm_new(&config, error);
  if (!h->vm) return helper_free(h), NULL;
  h->vm->app = o->app ? xstrdup(o->app) : NULL;
  lua_pushcfunction(h->vm->L, open_state);
  lua_pushcfunction(h->vm->L, o->open);
  lua_pushlightuserdata(h->vm->L, h->vm);
  lua_pushlightuserdata(h->vm->L, o);
  if (vm_pcall(h->vm, 3, 0) == LUA_OK) return h;
  *error = vm_take_message(h->vm->L);
  helper_free(h);
  return NULL;
}

static struct helper *take(struct offload *o) {
  lock_take(&o->lock);
  struct list *node = list_shift(&o->idle);
  lock_release(&o->lock);
  return node ? container_of(node, struct helper, link) : NULL;
}

static void put_back(struct offload *o, struct helper *h, bool is_usable) {
  lock_take(&o->lock);
  is_usable = is_usable && !o->is_left;
  if (is_usable) list_append(&o->idle, &h->link);
  lock_release(&o->lock);
  if (!is_usable) helper_free(h);
}

static const char *nearest_function(lua_State *L, int module, const char *name) {
  const char *best = NULL;
  size_t least = 3;
  for (lua_pushnil(L); lua_next(L, module); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || !lua_isfunction(L, -1)) continue;
    size_t distance = edit_distance(name, lua_tostring(L, -2));
    if (distance < least) best = lua_tostring(L, -2), least = distance; // the module keeps it
  }
  return best;
}

// Pushes the function that is meant; raises what stands in the way.
static void push_function(lua_State *L, const struct offload_call *c) {
  lua_getglobal(L, "require");
  lua_pushstring(L, c->module);
  lua_call(L, 1, 1);
  int module = lua_gettop(L);
  if (!lua_istable(L, module))
    luaL_error(L, "module '%s' is a %s: expected a table of functions", c->module, luaL_typename(L, module));
  if (lua_getfield(L, module, c->function) == LUA_TFUNCTION) return;
  const char *close = nearest_function(L, module, c->function);
  if (close)
    luaL_error(L, "module '%s' has no function '%s'; did you mean '%s'?", c->module, c->function, close);
  luaL_error(L, "module '%s' has no function '%s'", c->module, c->function);
}

// perform(call), a light userdata.
static int perform(lua_State *L) {
  struct offload_call *c = lua_touserdata(L, 1);
  struct span in = buf_span(&c->args);
  size_t max = vm_of(L)->settings->offload.bytes;
  lua_settop(L, 0);
  push_function(L, c);
  lua_replace(L, 1);
  lua_settop(L, 1);
  luaL_checkstack(L, c->arg_count, "too many arguments");
  for (int i = 0; i < c->arg_count; i++) copy_read(L, &in);
  c->result_count = -1; // from here on an error is the function's
  lua_call(L, c->arg_count, LUA_MULTRET);
  int count = lua_gettop(L);
  for (int i = 1; i <= count && !c->failure; i++)
    if (!copy_write(L, i, &c->results, max)) c->failure = xasprintf("result %d%s", i, lua_tostring(L, -1));
  c->result_count = count;
  return 0;
}

// The error on top of the stack: a text without its traceback, which becomes the call's, or another value.
static int keep_error(lua_State *L) {
  struct offload_call *c = lua_touserdata(L, 1);
  static const char MARK[] = "\nstack traceback:\n";
  size_t len;
  if (lua_type(L, 2) == LUA_TSTRING) {
    const char *text = lua_tolstring(L, 2, &len);
    const char *mark = memmem(text, len, MARK, sizeof MARK - 1);
    lua_pushlstring(L, text, mark ? (size_t)(mark - text) : len);
    c->trace = xstrdup(text);
    lua_replace(L, 2);
  } else {
    luaL_tolstring(L, 2, NULL);
    c->trace = xstrdup(lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  buf_reset(&c->results, 0);
  if (copy_write(L, 2, &c->results, vm_of(L)->settings->offload.bytes)) return 0;
  buf_reset(&c->results, 0);
  lua_pushfstring(L, "an error value of type %s", luaL_typename(L, 2));
  copy_write(L, -1, &c->results, SIZE_MAX);
  return 0;
}

static void on_error(struct offload *o, struct vm *vm, struct offload_call *c, int status) {
  if (vm->expired) {
    lua_pop(vm->L, 1);
    c->failure = xasprintf("%s: stopped after %g s of CPU time (offload.time)", vm->expired_at,
                           o->settings.offload.time);
  } else if (status == LUA_ERRMEM) {
    lua_pop(vm->L, 1);
    c->failure = xasprintf("%s.%s: not enough memory (offload.memory is %zu bytes)", c->module, c->function,
                           o->settings.offload.memory);
  } else if (c->result_count < 0) {
    lua_pushcfunction(vm->L, keep_error);
    lua_insert(vm->L, -2);
    lua_pushlightuserdata(vm->L, c);
    lua_insert(vm->L, -2);
    if (vm_pcall(vm, 2, 0) != LUA_OK) c->failure = vm_take_message(vm->L);
  } else c->failure = vm_take_message(vm->L);
}

// True where the state can be used again.
static bool call_in(struct offload *o, struct vm *vm, struct offload_call *c) {
  lua_pushcfunction(vm->L, perform);
  lua_pushlightuserdata(vm->L, c);
  int status = vm_pcall(vm, 1, 0);
  if (status != LUA_OK) on_error(o, vm, c, status);
  return !vm->expired && status != LUA_ERRMEM;
}

static void watch(const struct offload *o) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGVTALRM);
  watchdog_start(&o->settings);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void unwatch(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGVTALRM);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  watchdog_stop();
}

void offload_run(struct offload *o, struct offload_call *c, bool is_alone) {
  if (is_alone) watch(o);
  struct helper *h = take(o);
  if (!h) h = helper_new(o, &c->failure);
  if (h) {
    h->loop.now = clock_now(h->loop.clock);
    bool is_usable = call_in(o, h->vm, c);
    put_back(o, h, is_usable);
  }
  if (is_alone) unwatch();
}

static void offload_drop(struct vm *vm, struct held *held) {
  struct offload *o = container_of(held, struct offload, held);
  struct list idle;
  (void)vm;
  list_init(&idle);
  lock_take(&o->lock);
  o->is_left = true;
  list_splice(&idle, &o->idle);
  lock_release(&o->lock);
  for (struct list *node; (node = list_shift(&idle));) helper_free(container_of(node, struct helper, link));
  offload_unref(o);
}

struct offload *offload_ref(struct offload *o) {
  lock_take(&o->lock);
  o->refs++;
  lock_release(&o->lock);
  return o;
}

void offload_unref(struct offload *o) {
  lock_take(&o->lock);
  bool is_last = !--o->refs;
  lock_release(&o->lock);
  if (!is_last) return;
  lock_deinit(&o->lock);
  free(o->app);
  free(o->path);
  free(o->cpath);
  free(o);
}

static void offload_init(struct offload *o, struct vm *vm) {
  *o = (struct offload){.settings = *vm->settings,
                        .service = vm->service,
                        .worker = vm->worker,
                        .generation = vm->generation,
                        .open = vm->open,
                        .refs = 1,
                        .app = vm->app ? xstrdup(vm->app) : NULL};
  o->settings.limits.lua_memory = o->settings.offload.memory;
  o->settings.limits.burst = o->settings.offload.time, o->settings.limits.hang = INFINITY;
  lock_init(&o->lock);
  list_init(&o->idle);
}

struct offload *offload_of(lua_State *L) {
  struct vm *vm = vm_of(L);
  if (vm->offload) return vm->offload;
  const char *path, *cpath;
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "path");
  lua_getfield(L, -2, "cpath");
  path = luaL_checkstring(L, -2), cpath = luaL_checkstring(L, -1);
  struct offload *o = xmalloc(sizeof *o);
  offload_init(o, vm);
  o->path = xstrdup(path), o->cpath = xstrdup(cpath);
  lua_pop(L, 3);
  vm->offload = o;
  held_put_unboxed(vm, &o->held, offload_drop);
  return o;
}

void offload_call_deinit(struct offload_call *c) {
  free(c->module);
  free(c->function);
  buf_deinit(&c->args);
  buf_deinit(&c->results);
  free(c->trace);
  free(c->failure);
}
