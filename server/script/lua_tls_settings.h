// SPDX-License-Identifier: MIT
// The setting `tls` as a Lua table.
#pragma once

struct lua_State;
struct tls_config;

// Reads the table on top of the stack. Raises on what cannot be.
void tls_settings_read(struct lua_State *L, struct tls_config *into);
