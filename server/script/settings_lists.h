// SPDX-License-Identifier: MIT
// Settings that are lists. Each value is on top of the stack; what is wrong with it is raised.
#pragma once
#include <lua.h>
#include "base/settings.h"

// log.redact: names of query parameters.
void settings_read_names(lua_State *L, const char *setting, struct short_names *into);

// trusted_proxies: addresses, networks, "unix".
void settings_read_trusted(lua_State *L, struct trusted *into);
