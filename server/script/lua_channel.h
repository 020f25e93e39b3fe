// SPDX-License-Identifier: MIT
// Channels and subscriptions for the library.
#pragma once
#include <lua.h>

// Adds channel, find_channel, derive_channel, attach, is_over to the table on top of the stack and registers
// the metatables.
void channel_open(lua_State *L);
