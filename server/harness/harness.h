// SPDX-License-Identifier: MIT
// The module that spate.test and the project's own specs stand on.
#pragma once

struct lua_State;

// require "spate.harness"
__attribute__((visibility("default"))) int luaopen_spate_harness(struct lua_State *L);
