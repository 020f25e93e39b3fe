// SPDX-License-Identifier: MIT
// Channels for the library.
#pragma once
#include <lua.h>

// Puts the functions for channels and subscriptions into the table on top of the stack and registers their
// metatables.
void channel_open(lua_State *L);
