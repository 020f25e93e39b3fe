// SPDX-License-Identifier: MIT
// Settings as Lua tables.
#pragma once
#include "serve/settings.h"

struct lua_State;

// Reads the groups of settings in the table at `table` over *s. Raises on an unknown key or a bad value.
void settings_read(struct lua_State *L, int table, struct settings *s);
