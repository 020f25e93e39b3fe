// SPDX-License-Identifier: MIT
// Two searchers: the modules inside the program come first, then files, the application's folder before
// package.path. The text of a module that is not found names the one that was probably meant.
#include "script/lua_require.h"
#include <lauxlib.h>
#include <string.h>
#include "base/nearest.h"
#include "base/util.h"
#include "script/source.h"

// The module that was probably meant, or NULL.
static const char *nearest_module(const char *name) {
  static const char *const names[] = {"spate",          "spate.sse",   "spate.json",   "sse",
                                      "json",           "spate.http",  "spate.fs",     "spate.sqlite",
                                      "spate.postgres", "spate.redis", "spate.crypto", "spate.process",
                                      "spate.datastar", "spate.mcp"};
  const char *close = nearest(name, names, countof(names));
  return close == names[3] ? names[1] : close == names[4] ? names[2] : close;
}

const struct embedded *embedded_find(const char *name) {
  for (const struct embedded *m = embedded_modules; m->name; m++)
    if (!strcmp(m->name, name)) return m;
  return NULL;
}

static int search_embedded(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const struct embedded *m = embedded_find(name);
  if (m) {
    if (luaL_loadbufferx(L, m->bytes, (size_t)(m->end - m->bytes), m->source, NULL) != LUA_OK)
      return lua_error(L);
    lua_pushstring(L, m->source);
    return 2;
  }
  const char *close = nearest_module(name);
  if (close) lua_pushfstring(L, "no module '%s' in spate; did you mean '%s'?", name, close);
  else lua_pushfstring(L, "no module '%s' in spate", name);
  return 1;
}

// A module in a file of package.path, as Lua's own searcher finds it, but no binary chunk.
static int search_files(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  lua_settop(L, 1);
  lua_getglobal(L, "package");
  lua_getfield(L, 2, "searchpath");
  lua_pushvalue(L, 1);
  if (lua_getfield(L, 2, "path") != LUA_TSTRING) return luaL_error(L, "'package.path' must be a string");
  lua_call(L, 2, 2);
  if (lua_isnil(L, -2)) { // why it was not found
    source_note_missing(L, name);
    return 1;
  }
  lua_pop(L, 1);
  const char *path = lua_tostring(L, -1);
  if (source_load(L, path) != LUA_OK)
    return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name, path, lua_tostring(L, -1));
  lua_insert(L, -2);
  return 2;
}

void require_embedded_first(lua_State *L) {
  lua_getglobal(L, "table");
  lua_getfield(L, -1, "insert");
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  lua_remove(L, -2);
  lua_pushinteger(L, 2);
  lua_pushcfunction(L, search_embedded);
  lua_call(L, 3, 0);
  lua_pop(L, 1);
}

void require_text_only(lua_State *L) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  lua_pushcfunction(L, search_files);
  lua_rawseti(L, -2, 2);
  lua_pop(L, 2);
}

void require_from_folder_of(lua_State *L, const char *path) {
  const char *slash = strrchr(path, '/');
  lua_getglobal(L, "package");
  lua_pushlstring(L, slash ? path : ".", slash ? (size_t)(slash - path) : 1);
  const char *dir = lua_tostring(L, -1);
  lua_getfield(L, -2, "path");
  lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", dir, dir, lua_tostring(L, -1));
  lua_setfield(L, -4, "path");
  lua_pop(L, 3);
}
