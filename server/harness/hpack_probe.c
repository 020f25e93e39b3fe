// SPDX-License-Identifier: MIT
// What a client of HTTP/2 in a spec cannot do without tables: it reads heads that are compressed.
#include <lauxlib.h>
#include "harness/harness.h"
#ifdef HAVE_NGHTTP2
#include <nghttp2/nghttp2.h>
#include "script/class.h"

static const char HPACK[] = "spate.harness.hpack";

static nghttp2_hd_inflater **check_hpack(lua_State *L) { return luaL_checkudata(L, 1, HPACK); }

// Adds the next field to the list on top; false at the end. Raises where the bytes are none.
static bool read_field(lua_State *L, nghttp2_hd_inflater *inflater, const uint8_t **at, size_t *left) {
  nghttp2_nv nv;
  int flags = 0;
  ssize_t n = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, *at, *left, 1);
  if (n < 0) luaL_error(L, "not HPACK: %s", nghttp2_strerror((int)n));
  *at += n, *left -= (size_t)n;
  if (flags & NGHTTP2_HD_INFLATE_EMIT) {
    lua_createtable(L, 2, 0);
    lua_pushlstring(L, (const char *)nv.name, nv.namelen);
    lua_rawseti(L, -2, 1);
    lua_pushlstring(L, (const char *)nv.value, nv.valuelen);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  }
  return !(flags & NGHTTP2_HD_INFLATE_FINAL) && (n || flags & NGHTTP2_HD_INFLATE_EMIT);
}

// hpack:decode(block): a list of { name, value }.
static int hpack_decode(lua_State *L) {
  nghttp2_hd_inflater *inflater = *check_hpack(L);
  size_t left;
  const uint8_t *at = (const uint8_t *)luaL_checklstring(L, 2, &left);
  lua_newtable(L);
  while (read_field(L, inflater, &at, &left)) continue;
  nghttp2_hd_inflate_end_headers(inflater);
  return 1;
}

static int hpack_collect(lua_State *L) {
  nghttp2_hd_inflate_del(*check_hpack(L));
  return 0;
}

// harness.hpack(): a reader of one connection's heads.
static int hpack_new(lua_State *L) {
  nghttp2_hd_inflater **h = lua_newuserdatauv(L, sizeof *h, 0);
  if (nghttp2_hd_inflate_new(h)) return luaL_error(L, "out of memory");
  luaL_setmetatable(L, HPACK);
  return 1;
}

void hpack_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"decode", hpack_decode}, {NULL, NULL}};
  class_new(L, HPACK, methods, hpack_collect);
  lua_pushcfunction(L, hpack_new);
  lua_setfield(L, -2, "hpack");
}
#else
void hpack_open(lua_State *L) { (void)L; }
#endif
