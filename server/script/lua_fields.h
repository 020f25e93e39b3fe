// SPDX-License-Identifier: MIT
// Header fields that a script gives a response.
#pragma once
#include <lua.h>
#include "http/request.h"

enum { FIELDS_MAX = 64 };

// The flat list at `index` as fields, whose texts stay in the list. Their number, which leaves room for one
// more. Raises.
size_t read_fields(lua_State *L, int index, struct field fields[FIELDS_MAX]);

// The same of so many fields at most.
size_t read_fields_up_to(lua_State *L, int index, struct field *fields, size_t max);

// The text of the string or number at `index`; raises where it is neither, saying what it is for.
struct span check_text(lua_State *L, int index, const char *what);

// core.check_field(name, value): raises at the user's line where a header cannot be sent so.
int core_check_field(lua_State *L);
