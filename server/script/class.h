// SPDX-License-Identifier: MIT
// Metatables of C objects, and what frees memory outside of Lua whatever is raised meanwhile.
#pragma once
#include <lauxlib.h>

struct buf;

// Registers the metatable `name`: its methods (NULL: none) and its finalizer (NULL: none).
void class_new(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction collect);

// Pushes an empty buffer, which the collector frees at the latest.
struct buf *push_buf(lua_State *L);
