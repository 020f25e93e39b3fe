// SPDX-License-Identifier: MIT
// Errors that bindings raise, and failures that they return.
#pragma once
#include <lua.h>
#include <stdbool.h>
#include <string.h>
#include "base/util.h"

// True for a function that a user wrote, of which "Sl" is known.
static inline bool is_user_function(const lua_Debug *ar) {
  return ar->currentline >= 0 && strncmp(ar->source, "=spate", 6) != 0;
}

// The nearest function on the stack that a user wrote; false where there is none.
bool user_position(lua_State *L, lua_Debug *ar);

// Raises an error at the user's line: the nearest function on the stack that is not the library's own.
int raise_error(lua_State *L, const char *format, ...) PRINTF_LIKE(2, 3);

// The same with the text on top of the stack, however long and whatever is in it.
int raise_top(lua_State *L);

// Raises the same as a value that tells: what the task reads has gone on without it. Where nothing catches
// that, the client of a request's task is cut as any slow one.
int raise_slow(lua_State *L, const char *format, ...) PRINTF_LIKE(2, 3);

// Whether the value on top is such an error. Without allocation: outside of protection as well.
bool is_slow_error(lua_State *L);

// Pushes what a value is shown as in an error: as it is where it is short and plain, else as the name of its
// type.
const char *push_shown(lua_State *L, int index);

// Raises "bad argument" of this kind at the user's line: what was expected, what came.
int raise_type(lua_State *L, int index, const char *what, const char *expected);

// Pushes nil and why: what a call returns where the outside world has failed. 2.
int push_failure(lua_State *L, const char *why);

// The same with a short word for programs behind the message. 3.
int push_failure_code(lua_State *L, const char *why, const char *code);
