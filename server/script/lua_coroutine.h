// SPDX-License-Identifier: MIT
// Lua's coroutine library, and sse.wrap.
#pragma once
#include <lua.h>

// Puts resume, wrap, yield and close of our own into the coroutine table on top of the stack.
void coroutine_open(lua_State *L);

// sse.wrap(function or coroutine): a function that returns the next value it yields; what it waits for, the
// calling task waits for.
int lua_wrap(lua_State *L);
