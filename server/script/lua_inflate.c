// SPDX-License-Identifier: MIT
// Compressed bytes of other servers, for the library. What a piece may hold is limited, as a few bytes may be
// a thousand times as many.
#include <lauxlib.h>
#include <stdlib.h>
#include "base/mem.h"
#include "event/inflater.h"
#include "script/bindings.h"
#include "script/class.h"
#include "script/held.h"

static const char META[] = "spate.inflater";
enum { HELD_MAX = 4 << 20 }; // bytes that one piece may hold

struct lua_inflater {
  struct held held;
  struct inflater *inflater;
};

static void drop(struct vm *vm, struct held *h) {
  struct lua_inflater *i = container_of(h, struct lua_inflater, held);
  (void)vm;
  inflater_free(i->inflater);
  free(i);
}

// core.inflater(): reads gzip and zlib.
static int inflater_push(lua_State *L) {
  struct held **box = held_push(L, META, 0);
  struct lua_inflater *i = xcalloc(1, sizeof *i);
  held_put(L, box, &i->held, drop);
  i->inflater = inflater_new();
  return 1;
}

// core.inflate(inflater, bytes): what they hold; nil and why they cannot be read.
static int inflate_bytes(lua_State *L) {
  struct held **box = luaL_checkudata(L, 1, META);
  struct span bytes;
  bytes.bytes = luaL_checklstring(L, 2, &bytes.len);
  luaL_argcheck(L, *box, 1, "it has been collected");
  struct buf *out = push_buf(L);
  const char *why =
      inflater_feed(container_of(*box, struct lua_inflater, held)->inflater, bytes, HELD_MAX, out);
  if (!why) return push_span(L, buf_span(out)), 1;
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}

void inflate_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"inflater", inflater_push}, {"inflate", inflate_bytes}, {NULL, NULL}};
  class_new(L, META, NULL, held_collect);
  luaL_setfuncs(L, functions, 0);
}
