// SPDX-License-Identifier: MIT
// A reader of gzip, as specs see it: it takes bytes as they come, and checks the sum at the end.
#include <lauxlib.h>
#include <stdint.h>
#include "base/buf.h"
#include "event/inflater.h"
#include "harness/harness.h"
#include "script/class.h"

static const char INFLATE[] = "spate.harness.inflate";

static struct inflater *inflate_check(lua_State *L) {
  return *(struct inflater **)luaL_checkudata(L, 1, INFLATE);
}

// harness.inflate(): a reader.
static int inflate_push(lua_State *L) {
  struct inflater **box = lua_newuserdatauv(L, sizeof(struct inflater *), 0);
  *box = NULL;
  luaL_setmetatable(L, INFLATE);
  *box = inflater_new();
  return 1;
}

// reader:feed(bytes): what they hold; nil and why where they are no gzip stream, or more than one.
static int inflate_feed(lua_State *L) {
  struct inflater *i = inflate_check(L);
  struct span bytes;
  bytes.bytes = luaL_checklstring(L, 2, &bytes.len);
  struct buf *out = push_buf(L);
  const char *why = inflater_feed(i, bytes, SIZE_MAX, out);
  if (!why) return push_span(L, buf_span(out)), 1;
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}

// reader:ended(): whether the end has come, and its sum is right.
static int inflate_ended(lua_State *L) {
  lua_pushboolean(L, inflater_has_ended(inflate_check(L)));
  return 1;
}

static int inflate_collect(lua_State *L) {
  inflater_free(inflate_check(L));
  return 0;
}

void inflate_probe_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"feed", inflate_feed}, {"ended", inflate_ended}, {NULL, NULL}};
  class_new(L, INFLATE, methods, inflate_collect);
  lua_pushcfunction(L, inflate_push);
  lua_setfield(L, -2, "inflate");
}
