// SPDX-License-Identifier: MIT
#include "script/lua_router.h"
#include <lauxlib.h>
#include "script/class.h"
#include "script/vm.h"

static const char META[] = "spate.router";
static const char router_key, patterns_key; // their addresses are keys of the registry

static struct router *check_router(lua_State *L) { return *(struct router **)luaL_checkudata(L, 1, META); }

int lua_router_new(lua_State *L) {
  struct router **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, META);
  *box = router_new();
  return 1;
}

static int add_route(lua_State *L) {
  struct router *r = check_router(L);
  struct span name, pattern;
  char error[ROUTER_ERROR_MAX];
  int other;
  name.bytes = luaL_checklstring(L, 2, &name.len);
  if (lua_type(L, 3) != LUA_TSTRING) return raise_type(L, 3, "route", "a path as a string");
  pattern.bytes = lua_tolstring(L, 3, &pattern.len);
  int method = method_of(name);
  if (method < 0) return raise_error(L, "unknown method '%s'", name.bytes);
  int result = router_add(r, (enum method)method, pattern, (int)luaL_checkinteger(L, 4), &other, error);
  if (result < 0) return raise_error(L, "%s", error);
  if (!result) return 0;
  lua_pushinteger(L, other);
  return 1;
}

int lua_router_use(lua_State *L) {
  vm_of(L)->router = check_router(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &patterns_key);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &router_key); // for as long as the state lives
  return 0;
}

void lua_router_pattern(lua_State *L, int route) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &patterns_key) == LUA_TTABLE) lua_rawgeti(L, -1, route);
  else lua_pushnil(L);
  lua_remove(L, -2);
}

static int collect(lua_State *L) {
  router_free(check_router(L));
  return 0;
}

void router_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"add", add_route}, {NULL, NULL}};
  class_new(L, META, methods, collect);
}
