// SPDX-License-Identifier: MIT
// The setting `admin`: an address, "off", or a table of an address with `token` and `hosts`.
#pragma once

struct lua_State;
struct settings;

// Reads what is on top of the stack. Raises on what cannot be.
void admin_settings_read(struct lua_State *L, struct settings *into);
