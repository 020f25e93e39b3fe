// SPDX-License-Identifier: MIT
// A client in memory, as specs hold it.
#pragma once
#include <lauxlib.h>
#include "base/list.h"
#include "loop/transport_memory.h"

struct client {
  struct list link; // in its server's
  struct memory_peer peer;
  struct transport *top; // what the server's connection has: the peer's, or TLS over it; NULL: it was refused
  const char *reason;    // why its last stream has ended; NULL: none has
  lua_Integer tag;       // by which server:heard names it
  int outside;           // its end of a connection that the server has not accepted yet; -1: it has
};

// Registers the metatable of clients.
void client_open(lua_State *L);

// Pushes a client that seems to come from `address`; its user value is for its server.
struct client *client_push(lua_State *L, const char *address);
