// SPDX-License-Identifier: MIT
// Whether the address itself is good is seen when it is opened.
#include "script/lua_admin_settings.h"
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>
#include "serve/settings.h"

enum { TOKEN_LEAST = 16 }; // bytes: shorter ones can be guessed

// The text on top of the stack into `to`, of `size` bytes; popped.
static void take_text(lua_State *L, const char *what, size_t least, char *to, size_t size) {
  size_t len = 0;
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
  if (!text) luaL_error(L, "%s: expected a string, got %s", what, luaL_typename(L, -1));
  if (len < least || len >= size || memchr(text, 0, len))
    luaL_error(L, "%s: expected %d to %d bytes, got %d", what, (int)least, (int)size - 1, (int)len);
  memcpy(to, text, len + 1);
  lua_pop(L, 1);
}

static void read_hosts(lua_State *L, struct settings *into) {
  if (!lua_istable(L, -1))
    luaL_error(L, "admin.hosts: expected a list of names, got %s", luaL_typename(L, -1));
  lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
  if (n > ADMIN_HOSTS_MAX) luaL_error(L, "admin.hosts: expected at most %d names", ADMIN_HOSTS_MAX);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, -1, i);
    take_text(L, "admin.hosts", 1, into->admin.hosts[i - 1], ADMIN_HOST_MAX);
  }
  into->admin.host_count = (unsigned)n;
}

static void read_address(lua_State *L, struct settings *into) {
  take_text(L, "admin", 1, into->admin.address, sizeof into->admin.address);
  if (!strcmp(into->admin.address, "off")) *into->admin.address = '\0';
}

// A pair of the table, key and value on top of the stack, of which the value is popped.
static void read_pair(lua_State *L, struct settings *into) {
  bool is_text = lua_type(L, -2) == LUA_TSTRING;
  const char *key = is_text ? lua_tostring(L, -2) : "";
  if (lua_isinteger(L, -2) && lua_tointeger(L, -2) == 1) read_address(L, into);
  else if (!strcmp(key, "token"))
    take_text(L, "admin.token", TOKEN_LEAST, into->admin.token, sizeof into->admin.token);
  else if (!strcmp(key, "hosts")) read_hosts(L, into), lua_pop(L, 1);
  else luaL_error(L, "admin: expected an address, token and hosts, got %s", luaL_tolstring(L, -2, NULL));
}

void admin_settings_read(lua_State *L, struct settings *into) {
  if (lua_type(L, -1) == LUA_TSTRING) {
    lua_pushvalue(L, -1);
    read_address(L, into);
    return;
  }
  if (!lua_istable(L, -1))
    luaL_error(L, "admin: expected an address, \"off\", or a table with one, got %s", luaL_typename(L, -1));
  for (lua_pushnil(L); lua_next(L, -2);) read_pair(L, into);
}
