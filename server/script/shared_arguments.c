// SPDX-License-Identifier: MIT
// What is wrong with an argument is said with the method's name, wherever the dictionary is kept.
#include "script/shared_arguments.h"
#include <lauxlib.h>
#include <math.h>
#include <string.h>
#include "base/nearest.h"
#include "event/shared.h"
#include "script/raise.h"

struct span shared_check_key(lua_State *L, int index, const char *method) {
  struct span s = {0};
  if (lua_type(L, index) != LUA_TSTRING)
    raise_error(L, "shared:%s: expected a string as key, got %s", method, luaL_typename(L, index));
  s.bytes = lua_tolstring(L, index, &s.len);
  if (s.len > SHARED_KEY_MAX)
    raise_error(L, "shared:%s: a key of %zu bytes is longer than %d", method, s.len, SHARED_KEY_MAX);
  return s;
}

struct shared_value shared_check_number(lua_State *L, int index, const char *method, const char *what) {
  struct shared_value v = {.type = SHARED_FLOAT};
  if (lua_type(L, index) != LUA_TNUMBER)
    raise_error(L, "shared:%s: expected a number as %s, got %s", method, what, luaL_typename(L, index));
  if (lua_isinteger(L, index)) {
    v.type = SHARED_INTEGER;
    v.integer = lua_tointeger(L, index);
  } else v.number = lua_tonumber(L, index);
  if (v.type == SHARED_FLOAT && isnan(v.number))
    raise_error(L, "shared:%s: the %s is not a number (nan)", method, what);
  return v;
}

struct shared_value shared_check_value(lua_State *L, int index, const char *method, bool may_be_nil) {
  struct shared_value v = {.type = SHARED_NIL};
  switch (lua_type(L, index)) {
  case LUA_TNUMBER: return shared_check_number(L, index, method, "value");
  case LUA_TSTRING:
    v.type = SHARED_STRING;
    v.string.bytes = lua_tolstring(L, index, &v.string.len);
    return v;
  case LUA_TBOOLEAN:
    v.type = SHARED_BOOLEAN;
    v.boolean = lua_toboolean(L, index);
    return v;
  case LUA_TNIL:
  case LUA_TNONE:
    if (may_be_nil) return v;
  }
  raise_error(L, "shared:%s: expected a string, number or boolean as value, got %s%s", method,
              luaL_typename(L, index), lua_istable(L, index) ? "; json.encode makes a string of it" : "");
  return v;
}

static double check_ttl(lua_State *L, int index, const char *method) {
  if (lua_type(L, index) != LUA_TNUMBER)
    raise_error(L, "shared:%s: expected seconds as ttl, got %s", method, luaL_typename(L, index));
  double ttl = lua_tonumber(L, index);
  if (!(ttl > 0 && ttl <= 1e9))
    raise_error(L, "shared:%s: expected a ttl above 0 seconds, got %g", method, ttl);
  return ttl;
}

static void unknown_option(lua_State *L, const char *method, const char *const *names, size_t count) {
  const char *name = luaL_tolstring(L, -2, NULL), *close = nearest(name, names, count);
  if (close) raise_error(L, "shared:%s: unknown option '%s'; did you mean '%s'?", method, name, close);
  raise_error(L, "shared:%s: unknown option '%s'", method, name);
}

void shared_read_options(lua_State *L, int index, const char *method, size_t count,
                         struct shared_arguments *o) {
  static const char *const names[] = {"ttl", "init"};
  if (lua_isnoneornil(L, index)) return;
  if (!lua_istable(L, index))
    raise_error(L, "shared:%s: expected a table of options, got %s", method, luaL_typename(L, index));
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    if (!strcmp(name, "ttl")) o->ttl = check_ttl(L, lua_gettop(L), method);
    else if (count > 1 && !strcmp(name, "init"))
      o->init = shared_check_number(L, lua_gettop(L), method, "init");
    else unknown_option(L, method, names, count);
  }
}

void shared_value_push(lua_State *L, const struct shared_value *v) {
  switch (v->type) {
  case SHARED_NIL: lua_pushnil(L); break;
  case SHARED_STRING: lua_pushlstring(L, v->string.bytes, v->string.len); break;
  case SHARED_INTEGER: lua_pushinteger(L, v->integer); break;
  case SHARED_FLOAT: lua_pushnumber(L, v->number); break;
  case SHARED_BOOLEAN: lua_pushboolean(L, v->boolean); break;
  }
}

int shared_compare_keys(const void *a, const void *b) {
  const struct span *x = a, *y = b;
  int order = memcmp(x->bytes, y->bytes, MIN(x->len, y->len));
  return order ? order : (x->len > y->len) - (x->len < y->len);
}
