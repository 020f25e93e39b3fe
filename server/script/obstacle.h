// SPDX-License-Identifier: MIT
// Why a task cannot wait somewhere: a C function stands on the stack that a yield cannot cross.
#pragma once
#include <lua.h>

// Pushes and returns the name of the nearest one: "string.gsub", "an xpcall handler", "__gc".
const char *push_obstacle(lua_State *L);
