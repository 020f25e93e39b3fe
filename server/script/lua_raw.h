// SPDX-License-Identifier: MIT
// Bodies that a script writes piece by piece, of any type.
#pragma once
#include <lua.h>

struct exchange;

// core.open_raw(req, status, type, fields, length): the head; `length` nil: not known. False where nothing is
// to be sent behind it (HEAD, or the client is gone).
int core_open_raw(lua_State *L);

// core.writer(req): the function write(bytes) of that body; true, waiting where the client is behind; nil,
// "closed" once it is gone.
int core_writer(lua_State *L);

// core.raw_left(req): bytes of the announced length that are not written, or nil.
int core_raw_left(lua_State *L);

// coroutine.yield(bytes) in such a body: writes the value at `index`.
int raw_write(lua_State *L, struct exchange *ex, int index);
