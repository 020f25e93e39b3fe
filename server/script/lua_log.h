// SPDX-License-Identifier: MIT
// spate.log and print.
#pragma once
#include <lua.h>

// Pushes the table {debug, info, warn, error}, each (message [, fields]).
void log_open(lua_State *L);

// print, through the log's writer: a terminal that stands still does not hold the server up.
int lua_print(lua_State *L);
