// SPDX-License-Identifier: MIT
// What a script does with another server's answer without reading it: events into a stream, bytes to a
// client.
#pragma once
#include <lua.h>

// Puts the functions for event_sources into the table on top of the stack.
void event_source_open(lua_State *L);
