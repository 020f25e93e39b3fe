// SPDX-License-Identifier: MIT
// Another server's answer as the answer to a request: its fields, and its body byte by byte.
#pragma once
#include <lua.h>

// Puts the functions for it into the table on top of the stack.
void pass_open(lua_State *L);
