// SPDX-License-Identifier: MIT
// The router for the library, which registers routes; matching itself never enters Lua.
#pragma once
#include <lua.h>

// core.router(): a router with router:add(method, pattern, id) -> nil | the id that is there already; raises
// at the user's line on a pattern that is none.
int lua_router_new(lua_State *L);

// core.use_router(router): the state's requests are matched by it from now on.
int lua_router_use(lua_State *L);

// Registers the metatable.
void router_open(lua_State *L);
