// SPDX-License-Identifier: MIT
// tls = { cert =, key =, { name =, cert =, key = }, ... }: fields of the table are the first host's, and of
// all hosts where they say so; its list are further hosts. Texts are copied into the settings, files are not
// opened here.
#include "script/lua_tls_settings.h"
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include "base/nearest.h"
#include "base/span.h"
#include "base/util.h"
#include "loop/tls_config.h"
#include "loop/tls_hosts.h"
#include "script/raise.h"

static const char *const shared_keys[] = {"min", "ciphers", "groups"};
static const char *const host_keys[] = {"name", "cert", "key", "client_ca", "verify_client"};

enum { WHERE_MAX = 32 };

static bool is_key(const char *key, const char *const *list, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!strcmp(key, list[i])) return true;
  return false;
}

// The keys of the table at `index`, but for those of its list.
static void check_keys(lua_State *L, int index, const char *where, bool is_first) {
  const char *known[countof(host_keys) + countof(shared_keys)];
  size_t n = countof(host_keys) + (is_first ? countof(shared_keys) : 0);
  memcpy(known, host_keys, sizeof host_keys);
  memcpy(known + countof(host_keys), shared_keys, sizeof shared_keys);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    if (is_first && lua_isinteger(L, -2)) continue;
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    if (key && is_key(key, known, n)) continue;
    if (key && is_key(key, shared_keys, countof(shared_keys)))
      luaL_error(L, "%s.%s: it is of all hosts together: expected as tls.%s", where, key, key);
    key = luaL_tolstring(L, -2, NULL);
    const char *close = nearest(key, known, n);
    luaL_error(L, close ? "unknown setting '%s.%s'; did you mean '%s.%s'?" : "unknown setting '%s.%s'", where,
               key, where, close);
  }
}

// Keeps a text: where it lies.
static uint16_t keep(lua_State *L, struct tls_config *into, struct span text) {
  uint16_t at = into->text_len;
  if (!text.len) return 0;
  if (text.len + 1 > sizeof into->text - at)
    luaL_error(L, "tls: names and paths are expected to be %d bytes at most, all together", TLS_TEXT_MAX);
  memcpy(into->text + at, text.bytes, text.len);
  into->text[at + text.len] = 0;
  into->text_len = (uint16_t)(at + text.len + 1);
  return at;
}

// A text of the table at `index`, kept.
static uint16_t read_text(lua_State *L, int index, const char *where, const char *key, bool is_needed,
                          struct tls_config *into) {
  struct span text = {"", 0};
  int type = lua_getfield(L, index, key);
  if (type == LUA_TSTRING) text.bytes = lua_tolstring(L, -1, &text.len);
  bool is_text = type == LUA_TSTRING && text.len && !memchr(text.bytes, 0, text.len);
  if (!is_text && (type != LUA_TNIL || is_needed))
    luaL_error(L, "%s.%s: expected a text, got %s", where, key, push_shown(L, -1));
  uint16_t at = keep(L, into, text);
  lua_pop(L, 1);
  return at;
}

static enum tls_clients read_verify(lua_State *L, int index, const char *where, bool has_ca) {
  int type = lua_getfield(L, index, "verify_client");
  const char *how = type == LUA_TSTRING ? lua_tostring(L, -1) : "";
  bool is_plain = type == LUA_TNIL || type == LUA_TBOOLEAN;
  enum tls_clients clients = TLS_CLIENTS_REQUIRED;
  if (type == LUA_TNIL && !has_ca) clients = TLS_CLIENTS_UNASKED;
  else if (type == LUA_TBOOLEAN && !lua_toboolean(L, -1)) clients = TLS_CLIENTS_UNASKED;
  else if (!strcmp(how, "optional")) clients = TLS_CLIENTS_OPTIONAL;
  else if (!strcmp(how, "any")) clients = TLS_CLIENTS_ANY;
  else if (!is_plain)
    luaL_error(L, "%s.verify_client: expected true, false, \"optional\" or \"any\", got %s", where,
               push_shown(L, -1));
  lua_pop(L, 1);
  bool needs_ca = clients == TLS_CLIENTS_REQUIRED || clients == TLS_CLIENTS_OPTIONAL;
  if (needs_ca && !has_ca)
    luaL_error(L,
               "%s.verify_client: expected client_ca beside it, the certificates that sign those of clients",
               where);
  return clients;
}

// A name that a client can ask for.
static void check_name(lua_State *L, const char *where, const char *name) {
  if (*name && !tls_name_is_asked(name))
    luaL_error(L, "%s.name: expected one such as \"b.example\", or \"*.b.example\" for one label, got %s",
               where, name);
}

// The table at `index` as a host.
static void read_host(lua_State *L, int index, const char *where, struct tls_config *into) {
  if (into->count == TLS_HOSTS_MAX) luaL_error(L, "tls: expected at most %d hosts", TLS_HOSTS_MAX);
  struct tls_host_config *h = &into->hosts[into->count];
  *h = (struct tls_host_config){.name = read_text(L, index, where, "name", false, into),
                                .cert = read_text(L, index, where, "cert", true, into),
                                .key = read_text(L, index, where, "key", true, into),
                                .client_ca = read_text(L, index, where, "client_ca", false, into)};
  check_name(L, where, tls_text(into, h->name));
  h->clients = (uint8_t)read_verify(L, index, where, h->client_ca);
  into->count++;
}

static void read_min(lua_State *L, int index, struct tls_config *into) {
  int type = lua_getfield(L, index, "min");
  const char *min = type == LUA_TSTRING ? lua_tostring(L, -1) : type == LUA_TNIL ? "1.2" : "";
  into->is_min_13 = !strcmp(min, "1.3");
  if (type == LUA_TNUMBER)
    luaL_error(L, "tls.min: expected a string, \"1.2\" or \"1.3\", got the number %s", push_shown(L, -1));
  if (!into->is_min_13 && strcmp(min, "1.2") != 0)
    luaL_error(L, "tls.min: expected \"1.2\" or \"1.3\", got %s", push_shown(L, -1));
  lua_pop(L, 1);
}

void tls_settings_read(lua_State *L, struct tls_config *into) {
  char where[WHERE_MAX];
  int index = lua_gettop(L);
  if (!lua_istable(L, index))
    luaL_error(L, "tls: expected { cert = \"FILE\", key = \"FILE\" }, got %s", push_shown(L, index));
  into->count = 0, into->text[0] = 0, into->text_len = 1;
  check_keys(L, index, "tls", true);
  read_min(L, index, into);
  into->ciphers = read_text(L, index, "tls", "ciphers", false, into);
  into->groups = read_text(L, index, "tls", "groups", false, into);
  read_host(L, index, "tls", into);
  lua_Integer n = (lua_Integer)lua_rawlen(L, index);
  for (lua_Integer i = 1; i <= n; i++) {
    snprintf(where, sizeof where, "tls[%d]", (int)i);
    if (lua_rawgeti(L, index, i) != LUA_TTABLE)
      luaL_error(L, "%s: expected a table with name, cert and key, got %s", where, luaL_typename(L, -1));
    check_keys(L, lua_gettop(L), where, false);
    read_host(L, lua_gettop(L), where, into);
    lua_pop(L, 1);
  }
}
