// SPDX-License-Identifier: MIT
// The fields of `req`, by name.
#pragma once
#include <lua.h>
#include <stdbool.h>
#include "base/span.h"

struct exchange;

struct getter {
  const char *name;
  void (*push)(lua_State *L, struct exchange *ex); // with the userdata at index 1
  bool keeps;                                      // made when first asked for, then kept
  bool is_open;                                    // may be set by a script
  bool always; // needs no request: there also when that has been freed, or `ex` is NULL
};

enum { GETTER_COUNT = 17 };
extern const struct getter getters[GETTER_COUNT];

// Pushes a part of a query decoded; where it cannot be, byte for byte.
void push_decoded(lua_State *L, struct span in);

// Registers what the values need.
void request_getters_open(lua_State *L);
