// SPDX-License-Identifier: MIT
// Scripts are trusted: only what would hurt the server by mistake is changed. os.exit would end everybody's
// streams, os.setlocale the reading of numbers, and a damaged binary chunk the process. print goes through
// the log, and collectgarbage says what it sets.
#include "script/bindings.h"
#include <lauxlib.h>
#include "script/lua_coroutine.h"
#include "script/raise.h"
#include "script/source.h"
#include "script/vm.h"

static int exit_refused(lua_State *L) {
  return raise_error(L, "os.exit would end every client's stream; end this one by returning");
}

// load, loadfile and dofile of Lua with text chunks only; the original is upvalue 1.
static int load_text(lua_State *L) {
  if (!lua_isstring(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, lua_gettop(L) < 4 ? 3 : 4);
  lua_pushliteral(L, "t");
  lua_replace(L, 3);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static int loadfile_text(lua_State *L) {
  bool has_env = lua_gettop(L) >= 3;
  if (source_load(L, luaL_optstring(L, 1, NULL)) != LUA_OK) return lua_pushnil(L), lua_insert(L, -2), 2;
  if (has_env) lua_pushvalue(L, 3), lua_setupvalue(L, -2, 1);
  return 1;
}

static int dofile_done(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return lua_gettop(L) - 1;
}

static int dofile_text(lua_State *L) {
  const char *path = luaL_optstring(L, 1, NULL);
  lua_settop(L, 1);
  if (source_load(L, path) != LUA_OK) return lua_error(L);
  lua_callk(L, 0, LUA_MULTRET, 0, dofile_done);
  return dofile_done(L, LUA_OK, 0);
}

// collectgarbage of Lua, upvalue 1, which tells the vm what mode was chosen: Lua does not say. Wrong
// arguments are refused here, where the line of the script is known.
static int collect_garbage(lua_State *L) {
  static const char *const options[] = {"collect",      "count",       "step",       "stop",
                                        "restart",      "setpause",    "setstepmul", "isrunning",
                                        "generational", "incremental", NULL};
  const char *option = options[luaL_checkoption(L, 1, "collect", options)];
  for (int i = 2; i <= lua_gettop(L); i++) luaL_optinteger(L, i, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  if (lua_type(L, -1) != LUA_TSTRING) return 1; // no mode was set
  vm_of(L)->is_generational = option[0] == 'g';
  return 1;
}

void globals_open(lua_State *L) {
  lua_getglobal(L, "collectgarbage");
  lua_pushcclosure(L, collect_garbage, 1);
  lua_setglobal(L, "collectgarbage");
  lua_getglobal(L, "load");
  lua_pushcclosure(L, load_text, 1);
  lua_setglobal(L, "load");
  lua_register(L, "loadfile", loadfile_text);
  lua_register(L, "dofile", dofile_text);
  lua_register(L, "xpcall", vm_xpcall);
  lua_register(L, "print", lua_print);
  lua_getglobal(L, "os");
  lua_pushcfunction(L, exit_refused);
  lua_setfield(L, -2, "exit");
  lua_pushnil(L);
  lua_setfield(L, -2, "setlocale");
  time_open(L);
  lua_getglobal(L, "coroutine");
  coroutine_open(L);
  lua_pop(L, 2);
}
