// SPDX-License-Identifier: MIT
// What `spate check` says of certificates, and the one that `spate dev --tls` makes.
#include "script/lua_certificates.h"
#include <errno.h>
#include <lauxlib.h>
#include "base/clock.h"
#include "loop/tls_certificate.h"
#include "loop/tls_hosts.h"
#include "script/lua_tls_settings.h"

struct ends {
  size_t count;
  double seconds[TLS_HOSTS_MAX];
};

static void note_end(void *arg, const char *file, double seconds) {
  struct ends *e = arg;
  (void)file;
  e->seconds[e->count++] = seconds;
}

// native.certificates(tls): of the setting `tls` a list of { file =, seconds = until it ends }; or nil and
// why it cannot be used.
static int list_certificates(lua_State *L) {
  struct tls_config *config = lua_newuserdatauv(L, sizeof *config, 0);
  struct ends ends = {0};
  char error[TLS_ERROR_MAX];
  *config = (struct tls_config){0};
  lua_pushvalue(L, 1);
  tls_settings_read(L, config);
  struct tls_hosts *hosts = tls_hosts_new(config, NULL, error);
  if (!hosts) {
    lua_pushnil(L);
    lua_pushstring(L, error);
    return 2;
  }
  tls_hosts_each_end(hosts, clock_wall(clock_system()), note_end, &ends);
  tls_hosts_unref(hosts);
  lua_createtable(L, (int)ends.count, 0);
  for (size_t i = 0; i < ends.count; i++) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, tls_text(config, config->hosts[i].cert));
    lua_setfield(L, -2, "file");
    lua_pushnumber(L, ends.seconds[i]);
    lua_setfield(L, -2, "seconds");
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
