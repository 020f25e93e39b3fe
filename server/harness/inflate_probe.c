// SPDX-License-Identifier: MIT
// zlib's own reader of gzip, as specs see it: it takes bytes as they come, and checks the sum at the end.
#include <lauxlib.h>
#include <zlib.h>
#include "base/buf.h"
#include "harness/harness.h"
#include "script/class.h"

static const char INFLATE[] = "spate.harness.inflate";
enum { GZIP_WINDOW_BITS = 16 + 15, PIECE = 1 << 16 };

struct inflate_reader {
  z_stream z;
  bool has_ended;
};

// harness.inflate(): a reader.
static int inflate_push(lua_State *L) {
  struct inflate_reader *r = lua_newuserdatauv(L, sizeof *r, 0);
  *r = (struct inflate_reader){0};
  if (inflateInit2(&r->z, GZIP_WINDOW_BITS) != Z_OK) return luaL_error(L, "inflate: no memory");
  luaL_setmetatable(L, INFLATE);
  return 1;
}

// reader:feed(bytes): what they hold; nil and why where they are no gzip stream, or more than one.
static int inflate_feed(lua_State *L) {
  struct inflate_reader *r = luaL_checkudata(L, 1, INFLATE);
  unsigned char piece[PIECE];
  luaL_Buffer out;
  size_t len;
  r->z.next_in = (unsigned char *)(uintptr_t)luaL_checklstring(L, 2, &len);
  r->z.avail_in = (unsigned)len;
  if (r->has_ended && len) return lua_pushnil(L), lua_pushliteral(L, "bytes behind the end"), 2;
  luaL_buffinit(L, &out);
  int result = Z_OK;
  do {
    r->z.next_out = piece, r->z.avail_out = PIECE;
    result = inflate(&r->z, Z_SYNC_FLUSH);
    luaL_addlstring(&out, (char *)piece, PIECE - r->z.avail_out);
  } while (result == Z_OK && (r->z.avail_in || !r->z.avail_out));
  luaL_pushresult(&out);
  r->has_ended |= result == Z_STREAM_END;
  if ((result == Z_OK || result == Z_BUF_ERROR || result == Z_STREAM_END) && !r->z.avail_in) return 1;
  lua_pushnil(L);
  lua_pushstring(L, r->z.avail_in && result == Z_STREAM_END ? "bytes behind the end"
                    : r->z.msg                              ? r->z.msg
                                                            : zError(result));
  return 2;
}

// reader:ended(): whether the end has come, and its sum is right.
static int inflate_ended(lua_State *L) {
  const struct inflate_reader *r = luaL_checkudata(L, 1, INFLATE);
  lua_pushboolean(L, r->has_ended);
  return 1;
}

static int inflate_collect(lua_State *L) {
  struct inflate_reader *r = luaL_checkudata(L, 1, INFLATE);
  inflateEnd(&r->z);
  return 0;
}

void inflate_probe_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"feed", inflate_feed}, {"ended", inflate_ended}, {NULL, NULL}};
  class_new(L, INFLATE, methods, inflate_collect);
  lua_pushcfunction(L, inflate_push);
  lua_setfield(L, -2, "inflate");
}
