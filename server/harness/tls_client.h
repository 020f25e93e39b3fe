// SPDX-License-Identifier: MIT
// TLS spoken by a client in memory: OpenSSL between a spec and harness/client.
#pragma once
#include <lauxlib.h>

// Adds the function `tls` to the module on top of the stack, and registers what it returns.
void tls_client_open(lua_State *L);
