// SPDX-License-Identifier: MIT
// What `spate check` says of certificates, and the one that `spate dev --tls` makes.
#include "script/lua_certificates.h"
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "loop/tls_certificate.h"
#include "loop/tls_hosts.h"
#include "script/lua_tls_settings.h"

enum { NAME_MAX_LEN = 256 };

// What is to be said of the hosts, none of which may be held while Lua runs.
struct findings {
  size_t count;
  struct finding {
    double seconds;          // until the certificate ends
    size_t other;            // an earlier host that has one of its names, ...
    char name[NAME_MAX_LEN]; // ... which is this; "": there is none
  } of[TLS_HOSTS_MAX];
};

static void note_end(void *arg, const char *file, double seconds) {
  struct findings *f = arg;
  (void)file;
  f->of[f->count++].seconds = seconds;
}

static void look_at(struct findings *f, const struct tls_hosts *hosts) {
  const char *name;
  tls_hosts_each_end(hosts, clock_wall(clock_system()), note_end, f);
  for (size_t i = 0; i < f->count; i++)
    if (tls_hosts_find_twice(hosts, i, &f->of[i].other, &name))
      snprintf(f->of[i].name, sizeof f->of[i].name, "%s", name);
}

static void push_finding(lua_State *L, const struct tls_config *config, size_t i, const struct finding *f) {
  lua_createtable(L, 0, 4);
  lua_pushstring(L, tls_text(config, config->hosts[i].cert));
  lua_setfield(L, -2, "file");
  lua_pushnumber(L, f->seconds);
  lua_setfield(L, -2, "seconds");
  if (!*f->name) return;
  lua_pushstring(L, f->name);
  lua_setfield(L, -2, "name");
  lua_pushinteger(L, (lua_Integer)f->other + 1);
  lua_setfield(L, -2, "other");
}

// native.certificates(tls): of the setting `tls` a list of { file =, seconds = until it ends, name = one that
// the host with the number `other` has as well }; or nil and why it cannot be used.
static int list_certificates(lua_State *L) {
  struct tls_config *config = lua_newuserdatauv(L, sizeof *config, 0);
  struct findings *findings = lua_newuserdatauv(L, sizeof *findings, 0);
  char error[TLS_ERROR_MAX];
  *config = (struct tls_config){0};
  memset(findings, 0, sizeof *findings);
  lua_pushvalue(L, 1);
  tls_settings_read(L, config);
  struct tls_hosts *hosts = tls_hosts_new(config, NULL, error);
  if (!hosts) {
    lua_pushnil(L);
    lua_pushstring(L, error);
    return 2;
  }
  look_at(findings, hosts);
  tls_hosts_unref(hosts);
  lua_createtable(L, (int)findings->count, 0);
  for (size_t i = 0; i < findings->count; i++) {
    push_finding(L, config, i, &findings->of[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

// native.make_certificate(cert, key): for localhost, in these files. True, or nil and why not.
static int make_certificate(lua_State *L) {
  const char *cert = luaL_checkstring(L, 1), *key = luaL_checkstring(L, 2);
  errno = 0;
  return luaL_fileresult(L, tls_certificate_make(cert, key) == 0, cert);
}

void lua_certificates_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"certificates", list_certificates}, {"make_certificate", make_certificate}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
