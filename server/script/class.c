// SPDX-License-Identifier: MIT
// A metatable's methods lie in a table of their own, so that none of its metamethods can be called by name.
#include "script/class.h"
#include "base/buf.h"

void class_new(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction collect) {
  luaL_newmetatable(L, name);
  if (methods) {
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
  }
  if (collect) {
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
  }
  lua_pop(L, 1);
}

void push_span(lua_State *L, struct span s) { lua_pushlstring(L, s.len ? s.bytes : "", s.len); }

static int collect_buf(lua_State *L) {
  buf_deinit(lua_touserdata(L, 1));
  return 0;
}

struct buf *push_buf(lua_State *L) {
  struct buf *b = lua_newuserdatauv(L, sizeof *b, 0);
  *b = (struct buf){0};
  if (luaL_newmetatable(L, "spate.buf")) {
    lua_pushcfunction(L, collect_buf);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return b;
}
