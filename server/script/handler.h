// SPDX-License-Identifier: MIT
// The way from a request's task to the application's handler, and from what that returns to an answer. Worker
// thread only.
#pragma once
#include <lua.h>

// The body of a request's task, given its exchange as a light userdata.
int handler_answer(lua_State *L);

// core.plain_routes(handlers, on_raise, reply, complete): handlers, by the number of their route, that
// nothing lies around: they are called by C, which answers by itself where they return a string or a reply of
// text. What else comes of them is complete's; on_raise makes of an error what that gets.
int core_plain_routes(lua_State *L);

// core.finishes(req): the library sees the reply to this request before it is sent.
int core_finishes(lua_State *L);
