// SPDX-License-Identifier: MIT
// What a spec may ask of a running application's Lua state.
#pragma once
#include <lauxlib.h>
#include "base/buf.h"
#include "base/map.h"
#include "script/vm.h"

// Runs `code` in the application's state, outside of any task. What it returns, as a string, is added to
// `out`; so is the message where this returns false. Only bytes go from state to state.
bool probe_run(struct vm *vm, struct span code, struct buf *out);

// Tasks that run for a request, or were spawned by one: not those of on_start, sse.every and the library.
size_t probe_tasks(const struct vm *vm);

// How often each line of the files that a state loads has run.
struct coverage {
  struct map files;
  struct coverage_file *last;
};

void coverage_init(struct coverage *c);
void coverage_deinit(struct coverage *c);

// Counts a line; for the trace of a state.
void coverage_count(struct coverage *c, lua_State *L, lua_Debug *ar);

// Pushes { [path] = { [line] = times } }.
void coverage_push(struct coverage *c, lua_State *L);

// Adds to the module on top of the stack what this process has: events, seconds of the machine's clock,
// memory, descriptors; and a hash.
void probe_open(lua_State *L);
