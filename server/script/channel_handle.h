// SPDX-License-Identifier: MIT
// What a script holds of a channel.
#pragma once
#include <lua.h>

struct channel;
struct held;
struct tie;

// The name of its metatable, which lua_channel.c fills.
extern const char CHANNEL_META[];

// The channel whose handle is argument 1; raises where it is none.
struct channel *channel_check(lua_State *L);

// Has the channel whose handle is argument 1 end, and go from the broker and its store; waits for nothing.
void channel_remove(lua_State *L);

// What does so where it is cut, of the channel of the handle at `index`.
struct tie *channel_tie(lua_State *L, int index);

// Pushes a handle without a channel.
struct held **channel_push_handle(lua_State *L);

// Puts a reference into a handle, which takes it.
void channel_put(lua_State *L, struct held **box, struct channel *c);
