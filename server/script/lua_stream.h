// SPDX-License-Identifier: MIT
// The way out as the library sees it: answer, open a stream, send.
#pragma once
#include <lua.h>
#include "script/exchange.h"

// coroutine.yield(event) in a stream function: sends its one argument.
int stream_yield(lua_State *L, struct exchange *ex);

// core.answer(req, status, type, body [, fields]): the whole response; `fields` is a flat list of names and
// values.
int core_answer(lua_State *L);

// core.prefers_json(req): whether its client would rather have JSON than text.
int core_prefers_json(lua_State *L);

// core.shows_errors(req): whether its client may see what has failed (spate dev).
int core_shows_errors(lua_State *L);

// core.open(req, status, fields, interval, comment): the head of an event stream, kept alive each `interval`
// seconds (0: not at all). False where nothing is to be sent behind it (HEAD, or the client is gone).
int core_open_stream(lua_State *L);

// core.sender(req): the function send(event) of that stream.
int core_sender(lua_State *L);

// core.pump(req, stream): sends what the stream's next() returns until it returns nil, then closes it.
int core_pump(lua_State *L);

// core.detach(req): the stream stays open when its task ends.
int core_detach(lua_State *L);
