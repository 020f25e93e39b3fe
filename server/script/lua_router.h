// SPDX-License-Identifier: MIT
// The router for the library, which registers routes; matching itself never enters Lua.
#pragma once
#include <lua.h>

// core.router(): a router with router:add(method, pattern, id) -> nil | the id that is there already; raises
// at the user's line on a pattern that is none.
int lua_router_new(lua_State *L);

// core.use_router(router, patterns): the state's requests are matched by it from now on; `patterns` has that
// of each id.
int lua_router_use(lua_State *L);

// Pushes the pattern of the route with this id; nil where there is none.
void lua_router_pattern(lua_State *L, int route);

// Registers the metatable.
void router_open(lua_State *L);
