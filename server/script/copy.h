// SPDX-License-Identifier: MIT
// Values on their way from one Lua state to another, as bytes that no state owns: strings, numbers, booleans,
// nil, json.null, and tables of these by value, without metatables but those of json.array and json.object.
#pragma once
#include <lua.h>
#include "base/buf.h"

enum { COPY_DEPTH_MAX = 100 };

// Appends the value at `index`. False where it cannot go, with what cannot and why pushed: "[2].x: a function
// ..."; `out` has a part then. `max`: bytes that `out` may have. Raises on lack of memory alone, and runs no
// code of a script's.
bool copy_write(lua_State *L, int index, struct buf *out, size_t max);

// Pushes the value that the bytes begin with, which it takes off `in`. Raises on lack of memory.
void copy_read(lua_State *L, struct span *in);
