// SPDX-License-Identifier: MIT
// Certificates for the command line.
#pragma once

struct lua_State;

// Adds its functions to the table on top of the stack.
void lua_certificates_open(struct lua_State *L);
