// SPDX-License-Identifier: MIT
// reply.proxy's request: the client's own, asked of another server.
#pragma once
#include <lua.h>

// Adds to the table on top of the stack:
//   proxy_origin(url)   the URL taken apart; nil where it has a user, or is none
//   proxy_begin(req, url, origin, options, given)
//                       asks it: a response, and whether the body is to be sent; nil, message and code. `url`
//                       and its origin, or nil; `options` is a table of timeouts and so on, or nil; `given` a
//                       flat list of fields in the place of the client's, of which false are left out, and
//                       with `via` and `preserve_host`; or nil
void proxy_open(lua_State *L);
