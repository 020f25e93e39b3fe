// SPDX-License-Identifier: MIT
// The one list of what a state holds, and the way an application gets into it.
#pragma once
#include <lua.h>

struct vm;

// Opens Lua's libraries (without what would hurt the server), ours in C, and the embedded ones in Lua.
// Raises.
void core_open(lua_State *L, struct vm *vm);

// C functions for vm_pcall: core_load(path, a light userdata) loads and installs an application;
// core_stand_in(text), likewise, one that answers every request with this report; core_spawn_listed(ref)
// starts a task for each function in the list that the registry holds at ref.
int core_load(lua_State *L);
int core_stand_in(lua_State *L);

// C function for vm_pcall: tells the pages that are open why newer code is not served, a light
// userdata.
int core_show_failure(lua_State *L);
int core_spawn_listed(lua_State *L);
