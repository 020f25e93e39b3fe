// SPDX-License-Identifier: MIT
// The one list of what a state holds.
#pragma once
#include <lua.h>

struct vm;

// Opens Lua's libraries (without what would hurt the server), ours in C, and the embedded ones in Lua.
// Raises.
void core_open(lua_State *L, struct vm *vm);
