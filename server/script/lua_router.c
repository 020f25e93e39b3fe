// SPDX-License-Identifier: MIT
// The userdata owns the router. The one in use is kept in the registry, since requests are matched by it
// without Lua.
#include "script/lua_router.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "base/mem.h"
#include "script/class.h"
#include "script/raise.h"
#include "script/vm.h"
#include "serve/routes.h"

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

static struct span check_span(lua_State *L, int index) {
  struct span s;
  s.bytes = luaL_checklstring(L, index, &s.len);
  return s;
}

// router:add(method, path, number): nothing, or the number of the route that there is already.
static int add_route(lua_State *L) {
  struct router *r = check_router(L);
  struct span name = check_span(L, 2), pattern;
  char error[ROUTER_ERROR_MAX];
  int other;
  if (lua_type(L, 3) != LUA_TSTRING) return raise_type(L, 3, "route", "a path as a string");
  pattern.bytes = lua_tolstring(L, 3, &pattern.len);
  int method = router_method_make(r, name);
  if (method < 0)
    return raise_error(L, "app:on(\"%s\"): more than %d methods beside the usual ones", name.bytes,
                       ROUTER_METHODS_MAX - METHOD_COUNT);
  int result = router_add(r, method, pattern, (int)luaL_checkinteger(L, 4), &other, error);
  if (result < 0) return raise_error(L, "%s", error);
  if (other < 0) return 0;
  lua_pushinteger(L, other);
  return 1;
}

// router:replace(method, path): the route of this shape gets the names of this path, and keeps its number.
static int replace_route(lua_State *L) {
  struct router *r = check_router(L);
  router_replace(r, router_method(r, check_span(L, 2)), check_span(L, 3));
  return 0;
}

// router:methods(): their names, in the order of the bits that answers are told.
static int list_methods(lua_State *L) {
  const struct router *r = check_router(L);
  struct span name;
  lua_newtable(L);
  for (int i = 0; (name = router_method_name(r, i)).bytes; i++) {
    lua_pushlstring(L, name.bytes, name.len);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

// router:find(path): the number of the GET route of a path as it came, or nothing.
static int find_route(lua_State *L) {
  struct route_match match = {0};
  const struct router *r = check_router(L);
  struct span path = check_span(L, 2);
  char *scratch = lua_newuserdatauv(L, path.len + 1, 0);
  if (router_match(r, METHOD_GET, path, scratch, &match) != ROUTE_FOUND) return 0;
  lua_pushinteger(L, match.route);
  return 1;
}

// With the table of patterns and that of methods.
static void number_routes(lua_State *L, struct vm *vm) {
  if (!vm->service->process) return; // nothing is served
  size_t count = lua_rawlen(L, 2) + 1;
  free(vm->routes);
  vm->routes = xcalloc(count, sizeof *vm->routes), vm->route_count = count;
  for (size_t i = 1; i < count; i++) {
    lua_rawgeti(L, 2, (lua_Integer)i);
    lua_rawgeti(L, 3, (lua_Integer)i);
    vm->routes[i] = routes_number(vm->service, check_span(L, -1), check_span(L, -2));
    lua_pop(L, 2);
  }
}

int lua_router_use(lua_State *L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_checktype(L, 3, LUA_TTABLE);
  number_routes(L, vm_of(L));
  vm_of(L)->router = check_router(L);
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

static int router_collect(lua_State *L) {
  router_free(check_router(L));
  return 0;
}

void router_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"add", add_route},
                                     {"replace", replace_route},
                                     {"methods", list_methods},
                                     {"find", find_route},
                                     {NULL, NULL}};
  class_new(L, META, methods, router_collect);
}
