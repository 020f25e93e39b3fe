// SPDX-License-Identifier: MIT
// Sockets: addresses, listening, accepting.
#pragma once
#include "loop/loop.h"

enum { SOCK_ERROR_MAX = 256, SOCK_NAME_MAX = 140 };

// Opens a listening, non-blocking socket at "HOST:PORT", "[V6]:PORT", ":PORT", "unix:PATH" or "fd:N". Where
// `share`, several sockets may listen at one TCP port (SO_REUSEPORT). Returns the descriptor, or -1 with what
// is wrong and what to do in `error`: errno is EINVAL where the address itself is bad. Any thread.
int sock_listen(const char *address, bool share, char error[SOCK_ERROR_MAX]);

// Writes the address a socket is bound to, as sock_listen takes it; "" where it has none.
void sock_name(int fd, char out[SOCK_NAME_MAX]);

// Writes the address of a connected socket's peer without its port; "unix" for one of the UNIX domain.
size_t sock_peer(int fd, char *out, size_t cap);

struct listener {
  struct loop *loop;
  struct ev_io io;
  struct timer pause;
  void (*on_accept)(struct listener *l, int fd); // takes the non-blocking fd
  unsigned long paused;                          // how often descriptors had run out
};

// Accepts on a listening descriptor, which stays the caller's.
void listener_start(struct listener *l, struct loop *loop, int fd);
void listener_stop(struct listener *l);
