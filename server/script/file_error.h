// SPDX-License-Identifier: MIT
// What goes wrong with files, as scripts are told of it.
#pragma once
#include <lua.h>

// Pushes nil, the errno's meaning, and a word of which a script can tell one from another. 3.
int push_file_error(lua_State *L, int error);
