// SPDX-License-Identifier: MIT
// Lua's own functions where the server needs others in their place.
#pragma once
#include <lua.h>

// Replaces them in a state with Lua's libraries.
void globals_open(lua_State *L);
