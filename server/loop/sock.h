// SPDX-License-Identifier: MIT
// Sockets: addresses, listening, accepting.
#pragma once
#include "base/address.h"
#include "loop/watch.h"

struct sockaddr;

enum { SOCK_ERROR_MAX = 256, SOCK_NAME_MAX = 140 };

// Opens a listening, non-blocking socket at "HOST:PORT", "[V6]:PORT", ":PORT", "unix:PATH" or "fd:N". Where
// `share`, several sockets may listen at one TCP port (SO_REUSEPORT). Returns the descriptor, or -1 with what
// is wrong and what to do in `error`: errno is EINVAL where the address itself is bad. Any thread.
int sock_listen(const char *address, bool share, char error[SOCK_ERROR_MAX]);

// Writes the address a socket is bound to, as sock_listen takes it; "" where it has none.
void sock_name(int fd, char out[SOCK_NAME_MAX]);

// The address in a socket's; of neither family where it is of another kind.
struct address sock_address(const struct sockaddr *a);

// The address of a connected socket's peer.
struct address sock_peer(int fd);

// How many descriptors the process may have open.
size_t sock_descriptors_max(void);

// The connection is given up where sent bytes find no acknowledgement for `seconds`, or where its silent peer
// has gone without a word.
void sock_set_send_timeout(int fd, double seconds);

struct listener {
  struct watch watch;
  struct timer pause;
  int spare_fd;                                  // a descriptor to close when there is no other; -1: none
  double logged_at;                              // when it said last that there is none
  void (*on_accept)(struct listener *l, int fd); // takes the non-blocking fd
  void (*on_full)(struct listener *l, int fd);   // the same where there is no other: close it at once
};

// Accepts on a listening descriptor, which stays the caller's.
void listener_start(struct listener *l, struct loop *loop, int fd);
void listener_stop(struct listener *l);

// Accepts all that wait, however many: closing a listening socket would reset them.
void listener_empty(struct listener *l);
