// SPDX-License-Identifier: MIT
// The traceback is put together here and not by Lua, whose text does not tell the library's functions from
// those of a user who has a folder named spate.
#include "script/lua_report.h"
#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "base/log.h"
#include "base/nearest.h"
#include "script/raise.h"
#include "script/vm.h"

// A traceback has the functions of the first and of the last levels; between them a recursion repeats itself.
enum { FIRST_LEVELS = 40, LAST_LEVELS = 30, PLACES_MAX = 1000 };
static const double LONG_SECONDS = 600;
static const char TRACEBACK[] = "\nstack traceback:\n";

// True for a function that a user wrote; fills `ar`.
static bool is_users(lua_State *co, int level, lua_Debug *ar) {
  return lua_getstack(co, level, ar) && lua_getinfo(co, "Slnt", ar) && is_user_function(ar);
}

static int depth_of(lua_State *co) {
  lua_Debug ar;
  int low = 0, high = 1;
  while (lua_getstack(co, high, &ar)) low = high, high *= 2;
  while (low + 1 < high) {
    int middle = low + (high - low) / 2;
    *(lua_getstack(co, middle, &ar) ? &low : &high) = middle;
  }
  return low;
}

// A name is what the caller calls the function, which says nothing where that is the library.
static void add_frame(lua_State *L, lua_State *co, int level, const lua_Debug *ar, luaL_Buffer *b) {
  lua_Debug caller;
  bool is_named = *ar->namewhat && is_users(co, level + 1, &caller);
  const char *kind = strcmp(ar->namewhat, "global") != 0 ? ar->namewhat : "function";
  lua_pushfstring(L, "\n\t%s:%d: in ", ar->short_src, ar->currentline);
  luaL_addvalue(b);
  if (*ar->what == 'm') lua_pushliteral(L, "main chunk");
  else if (is_named) lua_pushfstring(L, "%s '%s'", kind, ar->name);
  else lua_pushfstring(L, "function <%s:%d>", ar->short_src, ar->linedefined);
  luaL_addvalue(b);
}

void push_traceback(lua_State *L, lua_State *co, struct span message, int level) {
  luaL_Buffer b;
  lua_Debug ar;
  luaL_checkstack(L, 10, NULL);
  luaL_buffinit(L, &b);
  luaL_addlstring(&b, message.bytes, message.len);
  bool has_one = memmem(message.bytes, message.len, TRACEBACK, sizeof TRACEBACK - 1), begun = false;
  int last = has_one ? -1 : depth_of(co), skip_at = level + FIRST_LEVELS;
  for (int i = level; i <= last; i++) {
    if (i == skip_at && last - i > LAST_LEVELS) i = last - LAST_LEVELS, luaL_addstring(&b, "\n\t...");
    if (!is_users(co, i, &ar)) continue;
    if (!begun) luaL_addstring(&b, "\nstack traceback:");
    begun = true;
    add_frame(L, co, i, &ar, &b);
  }
  luaL_pushresult(&b);
}

int core_traceback(lua_State *L) {
  struct span message;
  message.bytes = luaL_checklstring(L, 1, &message.len);
  push_traceback(L, L, message, 1);
  return 1;
}

void report_call(lua_State *L, const char *name, int nargs) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "spate.report");
  lua_getfield(L, -1, name);
  lua_insert(L, -(nargs + 3));
  lua_pop(L, 2);
  lua_call(L, nargs, 1);
}

int report_loading(lua_State *L) {
  const char *message = lua_touserdata(L, 1), *path = lua_touserdata(L, 2);
  lua_pushstring(L, message);
  lua_pushstring(L, path);
  report_call(L, "of_loading", 2);
  return 1;
}

const char *push_place(lua_State *L) {
  lua_Debug ar;
  if (user_position(L, &ar)) return lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
  return lua_pushliteral(L, "?");
}

// True the first time that the text on top of the stack is asked for, which is popped.
static bool is_new(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, "spate.said");
  lua_rawgeti(L, -1, 1);
  lua_Integer count = lua_tointeger(L, -1);
  lua_pushvalue(L, -3);
  bool fresh = lua_rawget(L, -3) == LUA_TNIL && count < PLACES_MAX;
  if (fresh) {
    lua_pushinteger(L, count + 1);
    lua_rawseti(L, -4, 1);
    lua_pushvalue(L, -4);
    lua_pushboolean(L, 1);
    lua_rawset(L, -5);
  }
  lua_pop(L, 4);
  return fresh;
}

// Whole minutes are meant, unless they are thousands: 3600, but not 60000.
static bool is_suspicious(double seconds) {
  return seconds > LONG_SECONDS && (fmod(seconds, 60) != 0 || fmod(seconds, 1000) == 0);
}

void advise_seconds(lua_State *L, const char *what, double seconds) {
  if (!is_suspicious(seconds) || !vm_of(L)->settings->dev.on) return;
  luaL_checkstack(L, 8, NULL);
  const char *place = push_place(L);
  lua_pushfstring(L, "%s: %s", place, what);
  if (is_new(L))
    log_message(LOG_WARN, "%s: %s: %g seconds; durations are seconds, not milliseconds", place, what,
                seconds);
  lua_pop(L, 1);
}

int core_advise_seconds(lua_State *L) {
  advise_seconds(L, luaL_checkstring(L, 1), luaL_checknumber(L, 2));
  return 0;
}

int core_nearest(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  size_t count = lua_rawlen(L, 2);
  const char **names = lua_newuserdatauv(L, (count + 1) * sizeof *names, 0);
  for (size_t i = 0; i < count; i++) {
    if (lua_rawgeti(L, 2, (lua_Integer)i + 1) != LUA_TSTRING) return luaL_argerror(L, 2, "a list of strings");
    names[i] = lua_tostring(L, -1); // which the table keeps
    lua_pop(L, 1);
  }
  lua_pushstring(L, nearest(name, names, count));
  return 1;
}

int core_distance(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)edit_distance(luaL_checkstring(L, 1), luaL_checkstring(L, 2)));
  return 1;
}
