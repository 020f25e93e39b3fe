// SPDX-License-Identifier: MIT
// The store in a file as a spec has it: no thread, or one for a while; carried out when the spec says so.
#pragma once
#include <lua.h>
#include "store/sqlite_store.h"

// Pushes what a spec handles the store at *s by, and keeps the server at `owner` with it; NULL in *s: closed.
void sqlite_probe_push(lua_State *L, int owner, struct sqlite_store **s);

// Registers the metatable of that.
void sqlite_probe_open(lua_State *L);
