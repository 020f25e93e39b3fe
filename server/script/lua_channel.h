// SPDX-License-Identifier: MIT
// Channels for the library.
#pragma once
#include <lua.h>

struct channel;
struct held;

// Puts the functions for channels and subscriptions into the table on top of the stack and registers their
// metatables.
void channel_open(lua_State *L);

// The channel whose handle is argument 1; raises where it is none.
struct channel *channel_check(lua_State *L);

// Pushes a handle without a channel.
struct held **channel_push_handle(lua_State *L);

// Puts a reference into a handle, which takes it.
void channel_put(lua_State *L, struct held **box, struct channel *c);
