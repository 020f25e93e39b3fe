// SPDX-License-Identifier: MIT
// The only lua_resume, and Lua's coroutine library on top of it.
#pragma once
#include <lua.h>

struct vm;

// Resumes `co` from L, so that the watchdog knows which coroutine runs. As lua_resume.
int co_resume(lua_State *co, lua_State *from, int nargs, int *nresults);

// Ends a suspended coroutine: its <close> variables run. LUA_OK, or an error with its message on top.
// lua_resetthread has another name since Lua 5.4.6.
int co_close(lua_State *co, lua_State *from);

// Puts resume, wrap, yield and close of our own into the coroutine table on top of the stack.
void coroutine_open(lua_State *L);

// sse.wrap(function or coroutine): a function that returns the next value it yields; what it waits for, the
// calling task waits for.
int lua_wrap(lua_State *L);
