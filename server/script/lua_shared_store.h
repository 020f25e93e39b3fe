// SPDX-License-Identifier: MIT
// Dictionaries of scripts that the store keeps for several processes.
#pragma once
#include <lua.h>
#include "base/span.h"

// Pushes the dictionary of this name, with the methods of one of the process's own, all of which wait.
void shared_store_push(lua_State *L, struct span name);

// Registers their metatable.
void lua_shared_store_open(lua_State *L);
