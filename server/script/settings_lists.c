// SPDX-License-Identifier: MIT
#include "script/settings_lists.h"
#include <lauxlib.h>

// The number of strings in the list on top of the stack.
static int check_list(lua_State *L, const char *setting, int max) {
  if (!lua_istable(L, -1))
    luaL_error(L, "%s: expected a list of strings, got %s", setting, luaL_typename(L, -1));
  lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
  if (n > max) luaL_error(L, "%s: expected at most %d entries", setting, max);
  return (int)n;
}

// Entry `i` of that list, pushed.
static struct span push_entry(lua_State *L, const char *setting, int i) {
  struct span s = {0};
  if (lua_rawgeti(L, -1, i) != LUA_TSTRING)
    luaL_error(L, "%s[%d]: expected a string, got %s", setting, i, luaL_typename(L, -1));
  s.bytes = lua_tolstring(L, -1, &s.len);
  return s;
}

void settings_read_names(lua_State *L, const char *setting, struct short_names *into) {
  int n = check_list(L, setting, SHORT_NAMES_MAX);
  *into = (struct short_names){0};
  for (int i = 1; i <= n; i++) {
    struct span name = push_entry(L, setting, i);
    if (!name.len || name.len >= SHORT_NAME_MAX || memchr(name.bytes, 0, name.len))
      luaL_error(L, "%s[%d]: expected a name of 1 to %d bytes", setting, i, SHORT_NAME_MAX - 1);
    memcpy(into->list[into->count++], name.bytes, name.len);
    lua_pop(L, 1);
  }
}

void settings_read_trusted(lua_State *L, struct trusted *into) {
  int n = check_list(L, "trusted_proxies", TRUSTED_MAX);
  *into = (struct trusted){0};
  for (int i = 1; i <= n; i++) {
    struct span text = push_entry(L, "trusted_proxies", i);
    if (span_equal(text, SPAN("unix"))) into->unix_sockets = true;
    else if (!cidr_parse(text, &into->networks[into->count++]))
      luaL_error(
          L, "trusted_proxies[%d]: expected an address, a network such as 10.0.0.0/8, or \"unix\", got '%s'",
          i, text.bytes);
    lua_pop(L, 1);
  }
}
