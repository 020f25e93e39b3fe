// SPDX-License-Identifier: MIT
// A channel's handle: a userdata that holds one reference to it, until it is collected.
#include "script/channel_handle.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "base/mem.h"
#include "event/channel.h"
#include "script/held.h"
#include "script/raise.h"

const char CHANNEL_META[] = "spate.channel";

struct channel_handle {
  struct held held;
  struct channel *channel;
};

struct channel *channel_check(lua_State *L) {
  struct held *h = *(struct held **)luaL_checkudata(L, 1, CHANNEL_META);
  if (!h)
    raise_error(L, "the channel has been collected: a finalizer may run after those of what it refers to");
  return container_of(h, struct channel_handle, held)->channel;
}

struct held **channel_push_handle(lua_State *L) {
  return held_push(L, CHANNEL_META, 0);
}

static void drop_handle(struct vm *vm, struct held *held) {
  struct channel_handle *h = container_of(held, struct channel_handle, held);
  (void)vm;
  channel_unref(h->channel);
  free(h);
}

void channel_put(lua_State *L, struct held **box, struct channel *c) {
  struct channel_handle *h = xmalloc(sizeof *h);
  h->channel = c;
  held_put(L, box, &h->held, drop_handle);
}
