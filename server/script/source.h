// SPDX-License-Identifier: MIT
// Files of an application on their way into a state. Where somebody watches them, it is noted which and what
// was read.
#pragma once
#include <lua.h>

// luaL_loadfilex for text chunks. LUA_OK with the function on top, else a status with the message.
int source_load(lua_State *L, const char *path);

// Notes the files in which a module that was not found would be looked for, beside the application's file.
void source_note_missing(lua_State *L, const char *module);

// core.watch(path): notes a file or folder that the application reads by itself.
int core_watch(lua_State *L);
