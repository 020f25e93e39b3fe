// SPDX-License-Identifier: MIT
// Where `require` finds modules.
#pragma once
#include <lua.h>

// A module of the Lua library, compiled and embedded in the program, or a text that is.
struct embedded {
  const char *name;   // as given to require
  const char *source; // its chunk's name
  const char *bytes, *end;
};
extern const struct embedded embedded_modules[]; // ends with a NULL name

// The one of this name, or NULL.
const struct embedded *embedded_find(const char *name);

// Has modules inside the program found before files.
void require_embedded_first(lua_State *L);

// Has files load as text only, and noted where somebody watches them. Before the call above.
void require_text_only(lua_State *L);

// Has modules beside this file found before those of package.path.
void require_from_folder_of(lua_State *L, const char *path);
