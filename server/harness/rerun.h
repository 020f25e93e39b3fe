// SPDX-License-Identifier: MIT
// What running specs again after a save takes: word of the save, and a process for the run.
#pragma once
#include <lauxlib.h>

// Adds `watch` and `execute` to the module on top of the stack.
void rerun_open(lua_State *L);
