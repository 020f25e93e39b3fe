// SPDX-License-Identifier: MIT
// A request's body as scripts read it.
#pragma once
#include <lua.h>

// req:body([max]): the whole body, waiting for it; nil, "too large" above max bytes; nil, "closed".
int request_body(lua_State *L);

// req:chunks([max]): an iterator over the body's pieces as they come. Above max bytes (limits.body unless
// given) the request is answered with 413 and its task ended: a loop could not tell an error from the end.
int request_chunks(lua_State *L);

// Ends the request's own task at this wait, after its body has been refused; another gets nil, "closed".
int body_refused(lua_State *L, const char *what);
