// SPDX-License-Identifier: MIT
// "HOST:PORT", "http://HOST:PORT", "https://HOST:PORT", "unix:PATH", "fd:N", and tables of one of them with
// `redirect`. Whether an address itself is good is seen when it is opened.
#include "script/lua_listen.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/nearest.h"
#include "script/raise.h"

enum { PORT_MAX = 65535 };

// What stands before "://" has to be known; a path of "unix:" and a number of "fd:" stand behind no scheme.
static void check_scheme(lua_State *L, int i, const char *text) {
  static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  static const char *const known[] = {"http", "https"};
  size_t len = strspn(text, LETTERS);
  const char *scheme = lua_pushlstring(L, text, len), *close;
  bool is_known = !strncmp(text + len, "://", 3) && (!strcmp(scheme, "http") || !strcmp(scheme, "https"));
  if (strncmp(text + len, ":/", 2) != 0 || !strcmp(scheme, "unix") || is_known) {
    lua_pop(L, 1);
    return;
  }
  close = nearest(scheme, known, countof(known));
  luaL_error(L, "listen[%d]: expected HOST:PORT, http://HOST:PORT or https://HOST:PORT, got '%s'%s%s%s", i,
             text, close ? "; did you mean '" : "", close ? close : "", close ? "://'?" : "");
}

static const char *without(const char *text, const char *scheme) {
  size_t len = strlen(scheme);
  return strncmp(text, scheme, len) ? NULL : text + len;
}

// The redirect of the table below the address on top.
static void read_redirect(lua_State *L, int i, struct listen_address *a) {
  int type = lua_getfield(L, -2, "redirect"), is_port;
  lua_Integer port = lua_tointegerx(L, -1, &is_port);
  a->redirects = lua_toboolean(L, -1);
  if (type == LUA_TNUMBER) a->port = (int)port;
  bool ok = type == LUA_TNIL || type == LUA_TBOOLEAN ||
            (type == LUA_TNUMBER && is_port && port > 0 && port <= PORT_MAX);
  if (!ok)
    luaL_error(L, "listen[%d].redirect: expected true, or the port of https, got %s", i, push_shown(L, -1));
  if (a->redirects && a->is_secure)
    luaL_error(L, "listen[%d]: an address of https has nowhere to redirect to", i);
  lua_pop(L, 1);
}

static void check_keys(lua_State *L, int i) {
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    bool is_address = lua_isinteger(L, -2) && lua_tointeger(L, -2) == 1;
    bool is_redirect = lua_type(L, -2) == LUA_TSTRING && !strcmp(lua_tostring(L, -2), "redirect");
    if (!is_address && !is_redirect)
      luaL_error(L, "listen[%d]: expected an address and redirect, got %s", i, luaL_tolstring(L, -2, NULL));
  }
}

// The entry on top of the stack.
static void read_entry(lua_State *L, int i, struct listen_addresses *into) {
  struct listen_address *a = &into->list[into->count];
  bool is_table = lua_istable(L, -1);
  if (is_table) check_keys(L, i), lua_rawgeti(L, -1, 1);
  if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "listen[%d]: expected an address", i);
  const char *text = lua_tostring(L, -1), *https = without(text, "https://"),
             *http = without(text, "http://");
  if (strlen(text) != lua_rawlen(L, -1)) luaL_error(L, "listen[%d]: a NUL in the address", i);
  check_scheme(L, i, text);
  a->is_secure = https != NULL;
  if (is_table) read_redirect(L, i, a);
  a->address = xstrdup(https ? https : http ? http : text);
  into->count++;
  if (is_table) lua_pop(L, 1);
}

void listen_read(lua_State *L, struct listen_addresses *into) {
  if (lua_type(L, -1) == LUA_TSTRING) {
    lua_createtable(L, 1, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1);
  }
  if (!lua_istable(L, -1))
    luaL_error(L, "listen: expected an address or a list of them, got %s", luaL_typename(L, -1));
  size_t n = lua_rawlen(L, -1);
  if (!n) luaL_error(L, "listen: expected at least one address");
  into->list = xcalloc(n + 1, sizeof *into->list);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    read_entry(L, (int)i + 1, into);
    lua_pop(L, 1);
  }
}

void listen_free(struct listen_addresses *a) {
  for (size_t i = 0; i < a->count; i++) free(a->list[i].address);
  free(a->list);
  *a = (struct listen_addresses){0};
}
