// SPDX-License-Identifier: MIT
// The applications of a server in memory: states that are built, started, served, given up, and what fails in
// the newest.
#include <stdlib.h>
#include "base/mem.h"
#include "harness/given.h"
#include "harness/server.h"
#include "script/app.h"
#include "script/vm.h"
#include "script/watchdog.h"

static void on_line(lua_State *L, lua_Debug *ar) {
  coverage_count(&container_of(vm_of(L)->service, struct harness, service)->coverage, L, ar);
}

// block(seconds [, is_unseen]): stands for a call that holds the worker for so long, and is looked at
// meanwhile.
static int app_block(lua_State *L) {
  struct harness *h = container_of(vm_of(L)->service, struct harness, service);
  h->clock.now += luaL_checknumber(L, 1);
  if (!lua_toboolean(L, 2)) watchdog_look();
  return 0;
}

struct vm *harness_new_vm(struct harness *h, int worker, unsigned generation, struct vm_faults faults,
                          char **error) {
  struct vm_config config = {.service = &h->service,
                             .loop = &h->loop,
                             .settings = &h->settings,
                             .worker = worker,
                             .generation = generation,
                             .faults = faults,
                             .collection = h->collects_when_told ? &h->collection : NULL};
  struct vm *vm = app_new(&config, error);
  if (!vm) return NULL;
  vm->trace = h->is_traced ? on_line : NULL;
  if (h->blocks) lua_register(vm->L, "block", app_block);
  if (h->stubs) spec_asks_add(&h->asks, vm);
  vm_reset_hook(vm, vm->L);
  return vm;
}

// Starts the newest state, as far as it comes without time going by: true, or nil and why it is given up.
static int start(lua_State *L, struct harness *h) {
  generations_start(&h->generations, h->vm);
  harness_settle(h);
  if (h->start_error) {
    char *error = h->start_error;
    h->start_error = NULL, h->vm = h->generations.current;
    generations_abandon(&h->generations);
    return harness_push_error(L, error);
  }
  lua_pushboolean(L, 1);
  return 1;
}

// Requests go to the state that has started from now on; its on_start functions that wait go on.
static int swap(lua_State *L, struct harness *h) {
  generations_commit(&h->generations);
  harness_settle(h);
  h->refs_before = harness_held_refs(h->vm);
  lua_pushboolean(L, 1);
  return 1;
}

// server:load(path): true, or nil and the message. The application starts at once.
static int server_load(lua_State *L) {
  struct harness *h = check_server(L);
  char *error = NULL;
  given_hand_over(L, h->vm);
  if (app_load(h->vm, luaL_checkstring(L, 2), &error) < 0) return harness_push_error(L, error);
  int results = start(L, h);
  return results > 1 ? results : swap(L, h);
}

// server:build(path [, after [, count]]): a new state in place of one that was built before and not taken.
// True, or nil and the message. With fail_allocation(after, count) of that state.
static int server_build(lua_State *L) {
  struct harness *h = check_server(L);
  const char *path = luaL_checkstring(L, 2);
  char *error = NULL;
  struct vm_faults faults = {(size_t)luaL_optinteger(L, 3, 0),
                             (size_t)luaL_optinteger(L, 4, lua_isnoneornil(L, 3) ? 0 : 2), false};
  if (h->built) app_free(h->built);
  h->built = harness_new_vm(h, h->vm->worker, h->vm->generation + 1, faults, &error);
  if (h->built) given_hand_over(L, h->built);
  if (h->built && app_load(h->built, path, &error) < 0) app_free(h->built), h->built = NULL;
  atomic_fetch_add(h->built ? &h->process->reloads_total : &h->process->reloads_failed_total, 1);
  if (!h->built) return harness_push_error(L, error);
  lua_pushboolean(L, 1);
  return 1;
}

// server:start(): runs the on_start functions of the state that was built. True, or nil and the message.
static int server_start(lua_State *L) {
  struct harness *h = check_server(L);
  luaL_argcheck(L, h->built, 1, "nothing was built");
  h->built->task_faults = h->vm->task_faults;
  h->vm = h->built, h->built = NULL;
  return start(L, h);
}

// server:swap(): requests go to the state that was built, and started unless it was; what the old one streams
// goes on. True, or nil and the message.
static int server_swap(lua_State *L) {
  struct harness *h = check_server(L);
  int results = h->generations.starting ? 1 : server_start(L);
  return results > 1 ? results : swap(L, h);
}

// server:abandon(): gives up the state that was started; why it was not to be served, where it has said so.
static int server_abandon(lua_State *L) {
  struct harness *h = check_server(L);
  char *error = h->start_error;
  h->start_error = NULL;
  generations_abandon(&h->generations);
  h->vm = h->generations.current;
  lua_pushstring(L, error);
  free(error);
  return 1;
}

// server:stand_in(text): what answers where the application does not load.
static int server_stand_in(lua_State *L) {
  struct harness *h = check_server(L);
  if (app_load_stand_in(h->vm, luaL_checkstring(L, 2)) < 0)
    return harness_push_error(L, xstrdup("out of memory"));
  generations_start(&h->generations, h->vm);
  return swap(L, h);
}

// server:stress(on): whether each object that the newest state makes costs it a full collection first.
static int server_stress(lua_State *L) {
  check_server(L)->vm->is_stressed = lua_toboolean(L, 2);
  return 0;
}

// server:collect_after(objects [, found]): of a server that collects when it is told, whole, once its states
// have made so many more objects; what nobody holds is found `found` objects from now, with finalizers that
// wait until then.
static int server_collect_after(lua_State *L) {
  struct harness *h = check_server(L);
  luaL_argcheck(L, h->collects_when_told, 1, "collects by itself");
  h->collection = (struct vm_collection){.ends_after = (size_t)luaL_checkinteger(L, 2),
                                         .finds_after = (size_t)luaL_optinteger(L, 3, 0)};
  return 0;
}

// server:fail_allocation(after [, count [, of]]): so many allocations of the newest state succeed, then
// `count` fail (2: Lua tries each twice); count 0 ends it. How many that had been asked for before have not
// come about. Of "objects": only those that the program makes count and fail, and meanwhile what finalizers
// ask for.
static int server_fail_allocation(lua_State *L) {
  struct vm *vm = check_server(L)->vm;
  const char *of = luaL_optstring(L, 4, NULL);
  lua_pushinteger(L, (lua_Integer)vm->faults.count);
  vm->faults =
      (struct vm_faults){(size_t)luaL_checkinteger(L, 2), (size_t)luaL_optinteger(L, 3, 2), of != NULL};
  return 1;
}

// server:fail_task(after [, count]): the same of tasks that limits.tasks may refuse.
static int server_fail_task(lua_State *L) {
  struct vm *vm = check_server(L)->vm;
  lua_pushinteger(L, (lua_Integer)vm->task_faults.count);
  vm->task_faults =
      (struct vm_faults){(size_t)luaL_checkinteger(L, 2), (size_t)luaL_optinteger(L, 3, 1), false};
  return 1;
}

// server:fell_short(): how many allocations its states were refused since it was last asked, and tasks its
// worker was.
static int server_fell_short(lua_State *L) {
  struct harness *h = check_server(L);
  size_t allocations = 0;
  list_each (node, &h->generations.vms) {
    struct vm *vm = container_of(node, struct vm, link);
    allocations += vm->refusals, vm->refusals = 0;
  }
  uint64_t tasks = h->service.counters.refused_total[LIMIT_TASKS];
  lua_pushinteger(L, (lua_Integer)allocations);
  lua_pushinteger(L, (lua_Integer)(tasks - h->tasks_refused));
  h->tasks_refused = tasks;
  return 2;
}

const luaL_Reg state_methods[] = {{"give", given_keep},
                                  {"load", server_load},
                                  {"build", server_build},
                                  {"start", server_start},
                                  {"swap", server_swap},
                                  {"abandon", server_abandon},
                                  {"stand_in", server_stand_in},
                                  {"stress", server_stress},
                                  {"collect_after", server_collect_after},
                                  {"fail_allocation", server_fail_allocation},
                                  {"fail_task", server_fail_task},
                                  {"fell_short", server_fell_short},
                                  {NULL, NULL}};
