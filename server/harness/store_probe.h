// SPDX-License-Identifier: MIT
// The store on a Redis server as a spec has it: without its thread, carried out where the spec says so. The
// server is real, and so is the time that it takes.
#pragma once
#include <lua.h>
#include "client/redis_store.h"

// Pushes what a spec handles the store at *s by, and keeps the server at `owner` with it; NULL in *s: closed.
void store_probe_push(lua_State *L, int owner, struct redis_store **s);

// Registers the metatable of that.
void store_probe_open(lua_State *L);
