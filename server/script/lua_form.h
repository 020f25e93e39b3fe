// SPDX-License-Identifier: MIT
// What req:form() is made of.
#pragma once
#include <lua.h>

// Puts the functions for forms into the table on top of the stack.
void form_open(lua_State *L);
