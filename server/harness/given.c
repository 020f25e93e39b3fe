// SPDX-License-Identifier: MIT
// What a spec gives to an application before it is loaded: chunks that run in its state, and modules in place
// of files. Only bytes cross, a Lua function of the spec's as its bytecode, which is of this very Lua.
#include "harness/given.h"
#include <lauxlib.h>
#include "base/span.h"
#include "script/vm.h"

enum { GIVEN = 3 }; // the user value that keeps them

struct given {
  struct span name, chunk;
};

// server:give { name, chunk, ... }: modules by their names; a chunk whose name is "" runs at once. Of each
// state that is built from now on.
int given_keep(lua_State *L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, GIVEN);
  return 0;
}

static int give(lua_State *L) {
  const struct given *g = lua_touserdata(L, 1);
  if (luaL_loadbufferx(L, g->chunk.bytes, g->chunk.len, "=t.load", NULL) != LUA_OK) return lua_error(L);
  if (!g->name.len) {
    lua_call(L, 0, 0);
    return 0;
  }
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushlstring(L, g->name.bytes, g->name.len);
  lua_pushvalue(L, -4);
  lua_rawset(L, -3);
  return 0;
}

static struct span given_at(lua_State *L, int table, lua_Integer i) {
  struct span s;
  lua_geti(L, table, i);
  s.bytes = luaL_checklstring(L, -1, &s.len);
  lua_pop(L, 1); // the table keeps it
  return s;
}

void given_hand_over(lua_State *L, struct vm *vm) {
  if (lua_getiuservalue(L, 1, GIVEN) != LUA_TTABLE) {
    lua_pop(L, 1);
    return;
  }
  int table = lua_gettop(L);
  for (lua_Integer i = 1, n = luaL_len(L, table); i < n; i += 2) {
    struct given g = {given_at(L, table, i), given_at(L, table, i + 1)};
    lua_pushcfunction(vm->L, give);
    lua_pushlightuserdata(vm->L, &g);
    if (vm_pcall(vm, 1, 0) != LUA_OK) lua_pop(vm->L, 1); // out of memory, as loading then says too
  }
  lua_pop(L, 1);
}
