// SPDX-License-Identifier: MIT
// JSON from a value on the Lua stack.
#pragma once
#include <lua.h>
#include "base/buf.h"

// What the metatable of a table says that it is.
enum json_kind { JSON_KIND_NONE, JSON_KIND_ARRAY, JSON_KIND_OBJECT };

// Appends the JSON of the value at `index` to `out`. Raises a Lua error on what cannot be encoded, so `out`
// must belong to someone who survives that; it then holds a part. Until it raises it runs no Lua code,
// neither metamethod nor finalizer. Keys are sorted on the Lua stack, which has room for objects of 240,000
// members.
void json_encode_value(lua_State *L, int index, struct buf *out, size_t depth_max);

// Pushes the metatable of this kind's tables, the same one each time.
void json_kind_push(lua_State *L, enum json_kind kind);

// Gives it to the table at `index`; none where that is of no kind.
void json_kind_give(lua_State *L, int index, enum json_kind kind);

// The kind of the table at `index`, by its metatable.
enum json_kind json_kind_of(lua_State *L, int index);

// Pushes the value that stands for null, the same one each time.
void json_null_push(lua_State *L);
