// SPDX-License-Identifier: MIT
// The file of a store, for the command line.
#pragma once
#include <lua.h>

// Puts store_file into the table on top of the stack.
void lua_store_open(lua_State *L);
