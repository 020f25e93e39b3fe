// SPDX-License-Identifier: MIT
// spate.shared(name): the process's dictionaries as scripts see them.
#pragma once
#include <lua.h>

// Puts `shared` into the table on top of the stack.
void lua_shared_open(lua_State *L);
