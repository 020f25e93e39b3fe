// SPDX-License-Identifier: MIT
// Errors on their way to a reader: tracebacks of what users wrote, reports, and advice that is given once per
// place.
#pragma once
#include <lua.h>
#include "base/span.h"

// Pushes "file:line" of the user's function nearest to the caller, "?" where there is none.
const char *push_place(lua_State *L);

// Pushes the message, and after it those functions on the stack of `co` that a user wrote, from `level` on.
void push_traceback(lua_State *L, lua_State *co, struct span message, int level);

// Calls a function of spate.report with the `nargs` values on top, which its result takes the place of.
void report_call(lua_State *L, const char *name, int nargs);

// C function for vm_pcall: report_loading(message, path), both light userdata, returns the finished text of
// what loading the script has raised.
int report_loading(lua_State *L);

// In spate dev: says in the log, once per place, that so many seconds may have been meant as milliseconds.
void advise_seconds(lua_State *L, const char *what, double seconds);

// core.nearest(name, names): the one in the list that is closest to a misspelt one, or nil.
// core.distance(a, b): how far two texts are apart.
int core_nearest(lua_State *L);
int core_distance(lua_State *L);

// core.traceback(message), core.advise_seconds(what, seconds)
int core_traceback(lua_State *L);
int core_advise_seconds(lua_State *L);
