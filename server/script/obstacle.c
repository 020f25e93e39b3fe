// SPDX-License-Identifier: MIT
// A C function has no name of its own, and the caller's variable may be called anything, so it is looked up
// in the loaded modules, as Lua's tracebacks do.
#include "script/obstacle.h"
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>
#include "base/util.h"
#include "script/vm.h"

// Those that a wait can cross.
static bool is_crossed(const char *name) {
  static const char *const names[] = {"pcall", "xpcall", "dofile", "error"};
  for (size_t i = 0; i < countof(names); i++)
    if (!strcmp(name, names[i])) return true;
  return false;
}

// Looks for the function on top of the stack in the table at `module`; its name, pushed, or NULL.
static const char *find_in(lua_State *L, int module, const char *prefix) {
  int function = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, module); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || !lua_rawequal(L, -1, function)) continue;
    const char *name = lua_tostring(L, -2);
    return strcmp(prefix, "_G") != 0 ? lua_pushfstring(L, "%s.%s", prefix, name) : lua_pushstring(L, name);
  }
  return NULL;
}

// The name of the function on top of the stack in one of the loaded modules, pushed, or NULL.
static const char *find_name(lua_State *L) {
  int function = lua_gettop(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  int loaded = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, loaded); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || !lua_istable(L, -1)) continue;
    int module = lua_gettop(L);
    lua_pushvalue(L, function);
    const char *name = find_in(L, module, lua_tostring(L, module - 1));
    if (name) return name;
    lua_pop(L, 1);
  }
  lua_settop(L, function);
  return NULL;
}

const char *push_obstacle(lua_State *L) {
  lua_Debug ar;
  luaL_checkstack(L, 12, NULL);
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Snf", &ar);
    if (ar.name && !strcmp(ar.name, "__gc")) return lua_pushliteral(L, "__gc");
    if (*ar.what == 'C') {
      if (lua_tocfunction(L, -1) == vm_xpcall_handler) return lua_pushliteral(L, "an xpcall handler");
      const char *name = find_name(L);
      if (name && !is_crossed(name)) return name;
    }
    lua_settop(L, -2);
  }
  return lua_pushliteral(L, "a callback");
}
