// SPDX-License-Identifier: MIT
// The setting `listen` as Lua has it: an address, or a list of them.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct lua_State;

struct listen_address {
  char *address;  // as sock_listen takes it, without a scheme
  bool is_secure; // "https://..."
  bool redirects; // what is asked here is sent on to https ...
  int port;       // ... at this port; 0: where the first such address is
};

struct listen_addresses {
  struct listen_address *list;
  size_t count;
};

// Reads the setting on top of the stack. Raises on what cannot be; what was read is the caller's to free
// then, too.
void listen_read(struct lua_State *L, struct listen_addresses *into);

void listen_free(struct listen_addresses *a);
