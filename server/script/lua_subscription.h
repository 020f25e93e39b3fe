// SPDX-License-Identifier: MIT
// What a script holds of a subscription, and of what it asks a channel's store for.
#pragma once
#include <lua.h>
#include <stdbool.h>
#include "store/store.h"

// channel:subscribe(after or nil, newest events wanted, -1: all [, queue]): a subscription, of a queue other
// than the channel's.
int channel_subscription(lua_State *L);

// channel:let_go(): ends those subscriptions that a state has left which was replaced and has no request:
// nobody reads them any more.
int channel_let_go(lua_State *L);

// Pushes what will hold a request: before the event is read, as it may raise and collect.
void store_push_asked(lua_State *L);

// Asks, and suspends the task, which can wait here, until the answer is there. What store_push_asked has
// pushed lies at `index`. The last thing a C function does; `k` finds the request by its context.
int store_wait(lua_State *L, int index, struct channel *c, enum store_what what,
               const struct sse_fields *fields, uint64_t key, lua_KFunction k);

// For that continuation: what was answered, borrowed. It is freed with what lies at that place of the stack.
const struct store_request *store_answered(lua_State *L, lua_KContext context);

// Whether it is STORE_UNAVAILABLE, or was waited for too long: it is not to be looked at then. Pushes what is
// returned: nil, "unavailable", and a word that says why where there is one.
bool store_is_unavailable(lua_State *L, lua_KContext context);
int store_push_unavailable(lua_State *L, lua_KContext context);

// Puts the functions for subscriptions into the table on top of the stack.
void subscription_open(lua_State *L);
