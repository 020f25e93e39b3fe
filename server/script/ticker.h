// SPDX-License-Identifier: MIT
// Ticks at a steady rate, which streams are made of.
#pragma once
#include <lua.h>

// core.ticker(period, fn, refusal): a function that returns 1, 2, 3 ... or fn of these, one each `period`
// seconds; where fn returns nil that is the end, or the error refusal(fn).
int lua_ticker(lua_State *L);

// Sends the ticks of such a function at index 3 in the stream of the request at index 1, until that ends or fn
// does: what core.pump returns. -1 where it is no such function.
int ticker_pump(lua_State *L);
