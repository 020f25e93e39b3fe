// SPDX-License-Identifier: MIT
// A userdata that is a member of a channel until it is closed or collected, or its state is gone. What its
// end takes is there before it begins and is not Lua's, so that a member leaves where memory is short as
// well.
#include "script/membership.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "base/mem.h"
#include "event/channel.h"
#include "event/sse.h"
#include "script/class.h"
#include "script/held.h"
#include "script/vm.h"
#include "store/store.h"

static const char MEMBERSHIP[] = "spate.membership";

struct membership {
  struct held held;
  struct channel *channel;
  uint64_t key;
  size_t id_len, data_len;
  char texts[]; // id and data
};

static void drop_membership(struct vm *vm, struct held *held) {
  struct membership *m = container_of(held, struct membership, held);
  struct span id = {m->texts, m->id_len};
  struct sse_fields f = SSE_NO_FIELDS;
  f.event = SPAN("leave"), f.data = (struct span){m->texts + m->id_len, m->data_len};
  if (m->channel->store) store_leave(m->channel, id, &f, m->key);
  else channel_leave(m->channel, id, &f, m->key, vm->loop->now);
  channel_unref(m->channel);
  free(m);
}

struct held **membership_push(lua_State *L) {
  return held_push(L, MEMBERSHIP, 0);
}

void membership_put(lua_State *L, struct held **box, struct channel *c, struct span id,
                    const struct sse_fields *leave, uint64_t key) {
  struct membership *m = xmalloc(sizeof *m + id.len + leave->data.len);
  m->channel = channel_ref(c), m->key = key, m->id_len = id.len, m->data_len = leave->data.len;
  memcpy(m->texts, id.bytes, id.len);
  memcpy(m->texts + id.len, leave->data.bytes, leave->data.len);
  held_put(L, box, &m->held, drop_membership);
}

static int membership_close(lua_State *L) {
  luaL_checkudata(L, 1, MEMBERSHIP);
  return held_collect(L);
}

void membership_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", membership_close}, {NULL, NULL}};
  class_new(L, MEMBERSHIP, methods, held_collect);
  luaL_getmetatable(L, MEMBERSHIP);
  lua_pushcfunction(L, membership_close);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
}
