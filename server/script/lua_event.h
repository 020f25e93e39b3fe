// SPDX-License-Identifier: MIT
// Events as scripts write them: the builder after warp, a table of fields, a string, a number.
#pragma once
#include <lua.h>
#include "event/sse.h"

// Encodes the value at `index` for a stream of the state's worker; the caller owns the reference and must not
// raise before it has handed it on. Raises at the user's line, naming the field, where the value is no event.
struct event *event_of_value(lua_State *L, int index);

// Reads the value at `index` into fields whose bytes lie in `digits` and in values that it leaves on the
// stack. Returns their sse_length. Raises as above.
enum { NUMBER_MAX = 32 };
size_t event_fields(lua_State *L, int index, struct sse_fields *f, char digits[NUMBER_MAX]);

// Pushes an encoded event, whose text lies where collecting does not free it, as a table of its fields.
void event_push(lua_State *L, struct span text);

// Gives the table on top the trace (borrowed) with which it was published; empty: none.
void event_add_trace(lua_State *L, struct span trace);

// sse.encode(event): its text on the wire. Raises as event_of_value.
int lua_event_encode(lua_State *L);

// Adds to the table on top of the stack `event`, which makes a builder.
void event_open(lua_State *L);
