// SPDX-License-Identifier: MIT
// Listening sockets that systemd has opened before it starts the program, and keeps open when it ends
// (sd_listen_fds(3)). Main thread.
#pragma once
#include <stddef.h>
#include "loop/sock.h"

struct activation {
  size_t count; // of sockets; they have the descriptors from 3 on
  char *names;  // of LISTEN_FDNAMES
  struct passed_socket {
    const char *name; // in `names`
    char address[SOCK_NAME_MAX];
    bool is_taken;
  } * sockets;
};

// Reads what was passed to this very process, and takes it out of the environment.
void activation_init(struct activation *a);

// Whether one is meant by "systemd:NAME", or by the address that it is bound to.
bool activation_has(const struct activation *a, const char *address);

// The socket that is meant, for worker number `worker`: where there are fewer than workers they share one. A
// descriptor of the caller's, or -1 with an error: it is no listening socket.
int activation_take(struct activation *a, const char *address, size_t worker, char error[SOCK_ERROR_MAX]);

// Says what was passed, as a hint for who has named another.
void activation_hint(const struct activation *a);

// Closes its descriptors, and says where nobody has taken one.
void activation_deinit(struct activation *a);
