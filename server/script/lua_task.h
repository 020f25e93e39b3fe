// SPDX-License-Identifier: MIT
// Waiting and spawning as the library sees them.
#pragma once
#include <lua.h>

// Adds sleep, sleep_until, now, wall, spawn, cancel, wrap, signal to the table on top of the stack.
void task_open(lua_State *L);
