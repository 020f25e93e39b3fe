// SPDX-License-Identifier: MIT
// The arguments of a shared dictionary's methods, as values of C, and values as those of Lua.
#pragma once
#include <lua.h>
#include "event/shared_value.h"

// All of these raise at the user's line, with "shared:<method>" first.
//
// A key: a string of at most SHARED_KEY_MAX bytes, borrowed from its place on the stack.
struct span shared_check_key(lua_State *L, int index, const char *method);

// A number that is one; `what` it is.
struct shared_value shared_check_number(lua_State *L, int index, const char *method, const char *what);

// A value; its string stays in its place on the stack.
struct shared_value shared_check_value(lua_State *L, int index, const char *method, bool may_be_nil);

struct shared_arguments {
  double ttl;
  struct shared_value init;
};

// The table of options at `index`, if there is one: the first `count` of "ttl" and "init" are known. What it
// does not have stays as it is.
void shared_read_options(lua_State *L, int index, const char *method, size_t count,
                         struct shared_arguments *o);

void shared_value_push(lua_State *L, const struct shared_value *v);

// Sorts spans by their bytes: for qsort.
int shared_compare_keys(const void *a, const void *b);
