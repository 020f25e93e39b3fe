// SPDX-License-Identifier: MIT
// The only lua_resume.
#pragma once
#include <lua.h>

struct vm;

// Resumes `co` from L, so that the watchdog knows which coroutine runs. As lua_resume.
int co_resume(lua_State *co, lua_State *from, int nargs, int *nresults);

// Ends a suspended coroutine: its <close> variables run. LUA_OK, or an error with its message on top.
// lua_resetthread has another name since Lua 5.4.6.
int co_close(lua_State *co, lua_State *from);

// A coroutine for a task, with an empty stack, referenced from the registry: a new one; raises on lack of
// memory.
lua_State *co_new(lua_State *L, int *ref);

// The same outside of Lua, out of those that have ended well where there is one; NULL on lack of memory.
lua_State *co_take(struct vm *vm, int *ref);

// Gives back one that has ended well.
void co_give(struct vm *vm, lua_State *co, int ref);
