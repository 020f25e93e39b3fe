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

// What has the channel of the handle at `index` end, and go from the broker and its store, where it is cut.
struct tie *channel_tie(lua_State *L, int index);

// Pushes a handle without a channel.
struct held **channel_push_handle(lua_State *L);

// Puts a reference into a handle, which takes it.
void channel_put(lua_State *L, struct held **box, struct channel *c);
