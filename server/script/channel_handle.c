// SPDX-License-Identifier: MIT
// A channel's handle: a userdata that holds one reference to it, until it is collected.
#include "script/channel_handle.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "base/mem.h"
#include "event/broker.h"
#include "event/channel.h"
#include "script/held.h"
#include "script/raise.h"
#include "script/task.h"
#include "script/vm.h"
#include "store/store.h"

const char CHANNEL_META[] = "spate.channel";

struct channel_handle {
  struct held held;
  struct channel *channel;
  struct service *service;
  struct tie tie;
};

static struct channel_handle *check_handle(lua_State *L, int index) {
  struct held *h = *(struct held **)luaL_checkudata(L, index, CHANNEL_META);
  if (!h)
    raise_error(L, "the channel has been collected: a finalizer may run after those of what it refers to");
  return container_of(h, struct channel_handle, held);
}

struct channel *channel_check(lua_State *L) {
  return check_handle(L, 1)->channel;
}

struct tie *channel_tie(lua_State *L, int index) {
  return &check_handle(L, index)->tie;
}

// Nobody opens it between its end and its removal, for which its store may take a while.
static void handle_remove_channel(struct channel_handle *h) {
  struct channel *c = h->channel;
  if (!c->store) channel_finish(c, NULL, h->service->loop->now);
  else if (!channel_is_finished(c)) store_hand_over(c, STORE_FINISH, NULL, 0);
  if (c->store) store_hand_over(c, STORE_REMOVE, NULL, 0);
  broker_remove(h->service->broker, c);
}

void channel_remove(lua_State *L) { handle_remove_channel(check_handle(L, 1)); }

static void cut_channel(struct tie *tie) {
  handle_remove_channel(container_of(tie, struct channel_handle, tie));
}

struct held **channel_push_handle(lua_State *L) {
  return held_push(L, CHANNEL_META, 0);
}

static void drop_handle(struct vm *vm, struct held *held) {
  struct channel_handle *h = container_of(held, struct channel_handle, held);
  (void)vm;
  list_remove(&h->tie.link);
  channel_unref(h->channel);
  free(h);
}

void channel_put(lua_State *L, struct held **box, struct channel *c) {
  struct channel_handle *h = xmalloc(sizeof *h);
  *h = (struct channel_handle){.channel = c, .service = vm_of(L)->service, .tie = {.cut = cut_channel}};
  list_init(&h->tie.link);
  held_put(L, box, &h->held, drop_handle);
}
