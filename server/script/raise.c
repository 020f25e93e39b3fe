// SPDX-License-Identifier: MIT
// An error names the line that its reader can change: that of the nearest function that a user wrote, or,
// where the library handles a stream's values by itself, that of where they come from.
#include "script/raise.h"
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include "script/vm.h"

bool user_position(lua_State *L, lua_Debug *ar) {
  for (int level = 1; lua_getstack(L, level, ar); level++) {
    lua_getinfo(L, "Sl", ar);
    if (is_user_function(ar)) return true;
  }
  return false;
}

// Pushes "file:line: " of where a stream's values come from, a text or the function that makes them: a C
// function that handles them with nobody above it has the function as its first value, or the stream as its
// second.
static void push_source(lua_State *L) {
  lua_Debug ar;
  int kind = LUA_TNONE;
  if (lua_isfunction(L, 1) && !lua_iscfunction(L, 1)) {
    lua_pushvalue(L, 1);
    kind = LUA_TFUNCTION;
  } else if (lua_istable(L, 2)) {
    lua_pushliteral(L, "where");
    kind = lua_rawget(L, 2);
    if (kind != LUA_TSTRING && kind != LUA_TFUNCTION) lua_pop(L, 1);
  }
  if (kind == LUA_TFUNCTION && lua_getinfo(L, ">S", &ar))
    lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.linedefined);
  else if (kind == LUA_TSTRING) lua_pushliteral(L, ": "), lua_concat(L, 2);
  else lua_pushliteral(L, "");
}

// Puts the user's "file:line: " before the text on top of the stack.
static void add_position(lua_State *L) {
  lua_Debug ar;
  luaL_checkstack(L, 5, NULL);
  if (user_position(L, &ar)) lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
  else push_source(L);
  lua_insert(L, -2);
  lua_concat(L, 2);
}

int raise_top(lua_State *L) {
  add_position(L);
  return lua_error(L);
}

static void push_message(lua_State *L, const char *format, va_list args) {
  char message[512];
  vsnprintf(message, sizeof message, format, args);
  luaL_checkstack(L, 5, NULL);
  lua_pushstring(L, message);
  add_position(L);
}

int raise_error(lua_State *L, const char *format, ...) {
  va_list args;
  va_start(args, format);
  push_message(L, format, args);
  va_end(args);
  return lua_error(L);
}

static int slow_error_text(lua_State *L) {
  lua_getiuservalue(L, 1, 1);
  return 1;
}

int raise_slow(lua_State *L, const char *format, ...) {
  va_list args;
  lua_newuserdatauv(L, 0, 1);
  if (luaL_newmetatable(L, "spate.slow_error")) {
    lua_pushcfunction(L, slow_error_text);
    lua_setfield(L, -2, "__tostring");
    vm_of(L)->slow_errors = lua_topointer(L, -1);
  }
  lua_setmetatable(L, -2);
  va_start(args, format);
  push_message(L, format, args);
  va_end(args);
  lua_setiuservalue(L, -2, 1);
  return lua_error(L);
}

bool is_slow_error(lua_State *L) {
  const void *meta = NULL;
  if (lua_type(L, -1) != LUA_TUSERDATA || !lua_getmetatable(L, -1)) return false;
  meta = lua_topointer(L, -1);
  lua_pop(L, 1);
  return meta == vm_of(L)->slow_errors;
}

const char *push_shown(lua_State *L, int index) {
  int type = lua_type(L, index);
  bool is_plain = type == LUA_TNUMBER || type == LUA_TBOOLEAN || type == LUA_TNIL;
  if (type == LUA_TSTRING) return lua_pushfstring(L, "\"%s\"", lua_tostring(L, index));
  return is_plain ? luaL_tolstring(L, index, NULL) : lua_pushstring(L, lua_typename(L, type));
}

int raise_type(lua_State *L, int index, const char *what, const char *expected) {
  return raise_error(L, "%s: expected %s, got %s", what, expected, luaL_typename(L, index));
}

int push_failure(lua_State *L, const char *why) {
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}

int push_failure_code(lua_State *L, const char *why, const char *code) {
  push_failure(L, why);
  lua_pushstring(L, code);
  return 3;
}
