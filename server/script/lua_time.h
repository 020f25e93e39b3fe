// SPDX-License-Identifier: MIT
// os.time and os.date by the loop's clock, so that they agree with everything else that knows the time.
#pragma once
#include <lua.h>

// Replaces both in the table `os` on top of the stack.
void time_open(lua_State *L);
