// SPDX-License-Identifier: MIT
// Lua asks the machine for the time; a spec has a clock of its own. With a time given, both functions are
// Lua's.
#include "script/bindings.h"
#include <math.h>
#include "base/clock.h"
#include "script/vm.h"

static lua_Integer now(lua_State *L) { return (lua_Integer)floor(clock_wall(vm_of(L)->loop->clock)); }

// Lua's own function, upvalue 1, with the arguments on the stack.
static int call_original(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static int os_time(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) return call_original(L);
  lua_pushinteger(L, now(L));
  return 1;
}

static int os_date(lua_State *L) {
  if (!lua_isnoneornil(L, 2)) return call_original(L);
  lua_settop(L, 1);
  lua_pushinteger(L, now(L));
  return call_original(L);
}

static void replace(lua_State *L, const char *name, lua_CFunction fn) {
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, fn, 1);
  lua_setfield(L, -2, name);
}

void time_open(lua_State *L) {
  replace(L, "time", os_time);
  replace(L, "date", os_date);
}
