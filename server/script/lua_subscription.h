// SPDX-License-Identifier: MIT
// What a script holds of a subscription.
#pragma once
#include <lua.h>
#include "base/span.h"

// channel:subscribe(after or nil, newest events wanted, -1: all [, queue]): a subscription, of a queue other
// than the channel's.
int channel_subscription(lua_State *L);

// channel:let_go(): ends those subscriptions that a state has left which was replaced and has no request:
// nobody reads them any more.
int channel_let_go(lua_State *L);

// Pushes an encoded event, whose text lies where collecting does not free it, as a table of its fields.
void event_push(lua_State *L, struct span text);

// Puts the functions for subscriptions into the table on top of the stack.
void subscription_open(lua_State *L);
