// SPDX-License-Identifier: MIT
// The Lua states beside an application's in which functions run that block: as many as run at once, kept for
// the next, each with the modules that it has loaded. They go with the application's state: code that is
// loaded anew has new ones.
#pragma once
#include <lua.h>
#include "base/buf.h"

struct offload;

// One call, C memory alone: what goes there and what comes back.
struct offload_call {
  char *module, *function;
  struct buf args; // script/copy
  int arg_count;
  struct buf results; // likewise: the results, or the error's value
  int result_count;
  char *trace;   // with an error that the function has raised: where
  char *failure; // why there are neither results nor such an error
};

// Those of the application's state that L is of, whose package.path and package.cpath theirs have; kept with
// the state from the first time on. Raises.
struct offload *offload_of(lua_State *L);

// Another reference, for a call that is under way; and its end. Any thread.
struct offload *offload_ref(struct offload *o);
void offload_unref(struct offload *o);

// Calls, and waits for the end. `is_alone`: on a thread with nothing else to watch over it. Any thread.
void offload_run(struct offload *o, struct offload_call *c, bool is_alone);

void offload_call_deinit(struct offload_call *c);
