// SPDX-License-Identifier: MIT
// Which answers go compressed, and texts that do.
#pragma once
#include <lua.h>
#include <stdbool.h>
#include "http/request.h"

struct exchange;

enum { GZIP_FIELDS = 2 }; // that it may add

// Whether the body of an answer goes compressed: where it is wanted, as the value at `index` says, nil what
// the settings say, and the client takes it. The head says that, and what it depends on.
bool gzip_choose(lua_State *L, int index, const struct exchange *ex, struct field *fields, size_t *n);

// Whether a complete body is worth it: a text, not short, and not so long that it would hold up the loop.
bool gzip_suits(int status, struct span type, struct span body);

// The body as it is to go: compressed where gzip_choose says so; then it lies in what is left on the stack.
struct span gzip_text(lua_State *L, int index, const struct exchange *ex, struct field *fields, size_t *n,
                      struct span body);
