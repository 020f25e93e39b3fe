// SPDX-License-Identifier: MIT
// What a userdata holds outside of Lua's memory. Its finalizer drops it, or in the end its state does: a
// finalizer that fails for lack of memory is not run again, and none is run of what other finalizers make
// while the state closes.
#pragma once
#include <lauxlib.h>
#include "base/list.h"

struct vm;

struct held {
  struct list link; // in its state's list while a userdata has it
  void (*drop)(struct vm *vm, struct held *h);
  // Lets go of what the loop's thread alone may, as soon as the state leaves the loop; what is held stays
  // until it is dropped. NULL: there is nothing of the kind.
  void (*leave)(struct held *h);
};

// Pushes a userdata with this metatable that holds nothing yet.
struct held **held_push(lua_State *L, const char *metatable, int uservalues);

// Registers the metatable of those below.
void held_open(lua_State *L);

// The same, dropped as soon as the calling function returns, or its task is cancelled at its wait. Raises on
// lack of memory.
struct held **held_push_closed(lua_State *L);

// Puts `h` into the userdata, from which `drop` gets it back. Never raises.
void held_put(lua_State *L, struct held **box, struct held *h, void (*drop)(struct vm *vm, struct held *h));

// The same of what no userdata has: the state does. Never raises.
void held_put_unboxed(struct vm *vm, struct held *h, void (*drop)(struct vm *vm, struct held *h));

// Calls `leave` of all that are held. A box may be gone already, without its finalizer.
void held_leave_loop(struct vm *vm);

// The finalizer of such metatables.
int held_collect(lua_State *L);

// Drops what is left of a state that has been closed.
void held_drop_all(struct vm *vm);
