// SPDX-License-Identifier: MIT
// What a script listens to on a Redis server: messages in a queue, which a task reads. Worker thread only.
#pragma once
#include <lua.h>

// handle:subscribe(what, kind, seconds, names): a subscriber, once the server has confirmed all of them, or
// the seconds are over: then the first that is read is a reset, as soon as it has.
// False where nothing can wait. Methods:
//   subscriber:next()   waits for a message: payload, channel, name; false where some may have been lost;
//                       nil at the end, with message and code where that is a failure
//   subscriber:close()
int redis_subscriber_new(lua_State *L);

void redis_subscriber_register(lua_State *L);
