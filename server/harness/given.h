// SPDX-License-Identifier: MIT
// What a spec gives to an application before it is loaded.
#pragma once
#include <lua.h>

struct vm;

// server:give(list): keeps it with the server at index 1.
int given_keep(lua_State *L);

// Has a state that was built, and has not loaded its application yet, what the server at index 1 of L keeps.
void given_hand_over(lua_State *L, struct vm *vm);
