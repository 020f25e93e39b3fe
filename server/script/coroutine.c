// SPDX-License-Identifier: MIT
// Coroutines that the watchdog can follow. A hook is planted on one coroutine only, so somebody has to know
// which one runs: every resume goes through co_resume, the user's own too. When an inner coroutine was
// stopped because its time is up, its resumer is stopped next, up to the task.
#include "script/coroutine.h"
#include "script/vm.h"
#include "script/watchdog.h"

// A hook of an earlier slice is void; in a slice that is over its time, what starts is stopped like the rest.
static void prepare(struct vm *vm, lua_State *co) {
  if (vm->expired) watchdog_plant(co);
  else watchdog_clear(co);
}

int co_resume(lua_State *co, lua_State *from, int nargs, int *nresults) {
  struct vm *vm = vm_of(from);
  lua_State *outer = vm_enter(vm, co);
  prepare(vm, co);
  int status = lua_resume(co, from, nargs, nresults);
  vm_leave(vm, outer);
  if (vm->expired && outer) watchdog_plant(outer);
  return status;
}

int co_close(lua_State *co, lua_State *from) {
  struct vm *vm = vm_of(from);
  vm->close_depth++;
  lua_State *outer = vm_enter(vm, co);
  prepare(vm, co);
#if LUA_VERSION_RELEASE_NUM >= 50406
  int status = lua_closethread(co, from);
#else
  int status = lua_resetthread(co);
#endif
  vm->close_depth--;
  vm_leave(vm, outer);
  if (vm->expired && outer) watchdog_plant(outer);
  return status;
}

lua_State *co_new(lua_State *L, int *ref) {
  lua_State *co = lua_newthread(L);
  mark_task_coroutine(co);
  *ref = vm_ref(L);
  return co;
}

static int add_to_pool(lua_State *L) {
  struct vm *vm = vm_of(L);
  struct pooled_coroutine *p = &vm->pool[vm->pooled];
  p->co = co_new(L, &p->ref);
  vm->pooled++;
  return 0;
}

lua_State *co_take(struct vm *vm, int *ref) {
  if (!vm->pooled) {
    lua_pushcfunction(vm->L, add_to_pool);
    if (vm_pcall(vm, 0, 0) != LUA_OK) {
      lua_pop(vm->L, 1);
      return NULL;
    }
  }
  const struct pooled_coroutine *p = &vm->pool[--vm->pooled];
  *ref = p->ref;
  return p->co;
}

void co_give(struct vm *vm, lua_State *co, int ref) {
  if (lua_gettop(co)) lua_settop(co, 0);
  if (vm->pooled < COROUTINE_POOL_MAX) vm->pool[vm->pooled++] = (struct pooled_coroutine){co, ref};
  else vm_unref(vm, ref);
}
