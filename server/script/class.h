// SPDX-License-Identifier: MIT
// Metatables of C objects, bytes of C memory in Lua, and what frees such memory whatever is raised meanwhile.
#pragma once
#include <lauxlib.h>
#include "base/span.h"

struct buf;

// Registers the metatable `name`: its methods (NULL: none) and its finalizer (NULL: none).
void class_new(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction collect);

// Pushes bytes as a string; those of an empty span may be NULL.
void push_span(lua_State *L, struct span s);

// Pushes an empty buffer, which the collector frees at the latest.
struct buf *push_buf(lua_State *L);
