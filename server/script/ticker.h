// SPDX-License-Identifier: MIT
// Ticks at a steady rate, which streams are made of.
#pragma once
#include <lua.h>

// core.ticker(period, fn, refusal): a function that returns 1, 2, 3 ... or fn of these, one each `period`
// seconds; where fn returns nil that is the end, or the error refusal(fn). Without fn its place is what it is
// given: "file:line".
int lua_ticker(lua_State *L);

// core.tick(req, pull): has the ticks of such a function, which goes on where it is, be sent by a task
// without a coroutine of its own, and the present task be done with the request. False where it is another
// function.
int core_tick(lua_State *L);

// Pushes fn or the place of the task's repeated function at `index`, and returns its type; nothing, and
// LUA_TNONE, where that is another's. It allocates nothing.
int ticker_push_source(lua_State *L, int index);
