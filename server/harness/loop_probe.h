// SPDX-License-Identifier: MIT
// A loop that polls, for what a server in memory does without: watches, and what comes from other threads.
#pragma once
#include <lua.h>

// Sets `loop` in the table on top: a function that makes one.
void loop_probe_open(lua_State *L);
