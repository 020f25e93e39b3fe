// SPDX-License-Identifier: MIT
// Everything is checked and made a string before a line is begun, which is written whole or not at all:
// between begin and end of a line nothing may raise.
#include "script/bindings.h"
#include <lauxlib.h>
#include "base/log.h"
#include "script/raise.h"
#include "script/vm.h"

// Where the names of fields lie, in their order, and what each has.
enum { NAMES = 3, VALUES = 4 };

// Puts the name at `name` into the list. A table's own order differs from state to state.
static void put_in_order(lua_State *L, int name) {
  lua_Integer at = (lua_Integer)lua_rawlen(L, NAMES);
  for (; at > 0; at--) {
    lua_rawgeti(L, NAMES, at);
    bool is_before = lua_compare(L, name, -1, LUA_OPLT);
    if (is_before) lua_rawseti(L, NAMES, at + 1);
    else lua_pop(L, 1);
    if (!is_before) break;
  }
  lua_pushvalue(L, name);
  lua_rawseti(L, NAMES, at + 1);
}

// Checks before the line is begun: what is read in write_fields cannot raise.
static void check_fields(lua_State *L) {
  if (lua_isnoneornil(L, 2)) return;
  if (!lua_istable(L, 2)) raise_type(L, 2, "spate.log", "a table of fields");
  lua_newtable(L);
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      raise_error(L, "spate.log: the names of fields are strings, not %s", luaL_typename(L, -2));
    put_in_order(L, lua_gettop(L) - 1);
    lua_pushvalue(L, -2);
    if (lua_type(L, -2) == LUA_TNUMBER) lua_pushvalue(L, -2);
    else luaL_tolstring(L, -2, NULL);
    lua_rawset(L, VALUES);
  }
}

static void write_fields(lua_State *L, struct log_line *l) {
  lua_Integer count = lua_gettop(L) < VALUES ? 0 : (lua_Integer)lua_rawlen(L, NAMES);
  for (lua_Integer i = 1; i <= count; i++, lua_pop(L, 2)) {
    struct span name, value;
    lua_rawgeti(L, NAMES, i);
    name.bytes = lua_tolstring(L, -1, &name.len);
    lua_pushvalue(L, -1);
    lua_rawget(L, VALUES);
    if (lua_type(L, -1) == LUA_TNUMBER) log_number(l, name, lua_tonumber(L, -1));
    else value.bytes = lua_tolstring(L, -1, &value.len), log_field(l, name, value);
  }
}

static int write_line(lua_State *L) {
  enum log_level level = (enum log_level)lua_tointeger(L, lua_upvalueindex(1));
  if (!log_is_on(level)) return 0;
  struct span message;
  lua_settop(L, 2);
  message.bytes = luaL_tolstring(L, 1, &message.len);
  lua_replace(L, 1);
  check_fields(L);
  luaL_checkstack(L, 4, NULL);
  struct log_line line;
  log_begin(&line, level, clock_wall(vm_of(L)->loop->clock), message);
  write_fields(L, &line);
  log_end(&line);
  return 0;
}

void log_open(lua_State *L) {
  static const char *const names[] = {"debug", "info", "warn", "error"};
  lua_newtable(L);
  for (size_t i = 0; i < countof(names); i++) {
    lua_pushinteger(L, (lua_Integer)i);
    lua_pushcclosure(L, write_line, 1);
    lua_setfield(L, -2, names[i]);
  }
}

int lua_print(lua_State *L) {
  int n = lua_gettop(L);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 1; i <= n; i++) {
    if (i > 1) luaL_addchar(&b, '\t');
    luaL_tolstring(L, i, NULL);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
  if (!log_is_on(LOG_INFO)) return 0;
  struct span text;
  text.bytes = lua_tolstring(L, -1, &text.len);
  struct log_line line;
  log_begin(&line, LOG_INFO, clock_wall(vm_of(L)->loop->clock), text);
  log_end(&line);
  return 0;
}
