// SPDX-License-Identifier: MIT
// The Lua table `json`: encode, decode, null, array, object.
#pragma once
#include <lua.h>
#include <stddef.h>

// Pushes the module's table. `depth_max` limits the nesting both ways.
void json_open(lua_State *L, size_t depth_max);
