// SPDX-License-Identifier: MIT
// The userdata holds a pointer, never the thing: what a finalizer has dropped is NULL for those that run
// after it.
#include "script/held.h"
#include "script/class.h"
#include "script/vm.h"

static const char CLOSED[] = "spate.held";

struct held **held_push(lua_State *L, const char *metatable, int uservalues) {
  struct held **box = lua_newuserdatauv(L, sizeof *box, uservalues);
  *box = NULL;
  luaL_setmetatable(L, metatable);
  return box;
}

void held_open(lua_State *L) {
  class_new(L, CLOSED, NULL, held_collect);
  luaL_getmetatable(L, CLOSED);
  lua_pushcfunction(L, held_collect);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
}

struct held **held_push_closed(lua_State *L) {
  struct held **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, CLOSED);
  lua_toclose(L, -1);
  return box;
}

void held_put_unboxed(struct vm *vm, struct held *h, void (*drop)(struct vm *vm, struct held *h)) {
  h->drop = drop, h->leave = NULL;
  list_init(&h->link);
  list_append(&vm->held, &h->link);
}

void held_put(lua_State *L, struct held **box, struct held *h, void (*drop)(struct vm *vm, struct held *h)) {
  held_put_unboxed(vm_of(L), h, drop);
  *box = h;
}

static void held_drop(struct vm *vm, struct held *h) {
  list_remove(&h->link);
  h->drop(vm, h);
}

int held_collect(lua_State *L) {
  struct held **box = lua_touserdata(L, 1), *h = *box;
  *box = NULL;
  if (h) held_drop(vm_of(L), h);
  return 0;
}

void held_leave_loop(struct vm *vm) {
  list_each (node, &vm->held) {
    struct held *h = container_of(node, struct held, link);
    if (h->leave) h->leave(h);
  }
}

void held_drop_all(struct vm *vm) {
  while (!list_empty(&vm->held)) held_drop(vm, container_of(vm->held.next, struct held, link));
}
