// SPDX-License-Identifier: MIT
// The only lua_resume.
#pragma once
#include <lua.h>

// Resumes `co` from L, so that the watchdog knows which coroutine runs. As lua_resume.
int co_resume(lua_State *co, lua_State *from, int nargs, int *nresults);

// Ends a suspended coroutine: its <close> variables run. LUA_OK, or an error with its message on top.
// lua_resetthread has another name since Lua 5.4.6.
int co_close(lua_State *co, lua_State *from);
