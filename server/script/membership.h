// SPDX-License-Identifier: MIT
// Who is a member of a channel for as long as a script holds it.
#pragma once
#include <stdint.h>
#include <lua.h>
#include "base/span.h"

struct channel;
struct held;
struct sse_fields;

// Registers its metatable.
void membership_open(lua_State *L);

// Pushes one that is nobody's.
struct held **membership_push(lua_State *L);

// Makes it that of a member who has joined, whose end is told by the data of `leave`, with `key`. Never
// raises.
void membership_put(lua_State *L, struct held **box, struct channel *c, struct span id,
                    const struct sse_fields *leave, uint64_t key);
