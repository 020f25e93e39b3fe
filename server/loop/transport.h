// SPDX-License-Identifier: MIT
// What carries a connection's bytes: a socket in the server, memory under test. Worker thread only.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "loop/loop.h"

enum { IO_EOF = 0, IO_AGAIN = -1, IO_ERROR = -2 };

struct transport;

struct transport_sink {
  void (*on_readable)(struct transport *t);
  void (*on_writable)(struct transport *t);
};

struct transport_ops {
  ssize_t (*read)(struct transport *t, void *into, size_t len);               // bytes read, or an IO_ code
  ssize_t (*writev)(struct transport *t, const struct iovec *iov, int count); // bytes taken, or an IO_ code
  // Bytes of a file taken, IO_EOF where it has none at `offset`, or an IO_ code.
  ssize_t (*sendfile)(struct transport *t, int fd, off_t offset, size_t len);
  void (*want)(struct transport *t, bool read, bool write); // which upward calls are wished
  void (*shutdown)(struct transport *t);                    // ends our side, after what is sent
  void (*close)(struct transport *t, bool reset);   // frees it; `reset`: the peer sees an error, not an end
  void (*bound)(struct transport *t, size_t bytes); // that the kernel may keep unsent for the peer
  size_t (*peer)(const struct transport *t, char *out, size_t cap); // the peer's address as text, its length
};

// The same for a transport that has to see the bytes: a piece is read and handed to its writev.
ssize_t transport_copy_file(struct transport *t, int fd, off_t offset, size_t len);

struct transport {
  const struct transport_ops *ops;
  const struct transport_sink *sink; // set by its user, as is
  void *owner;
};

// A transport over a connected, non-blocking socket; takes `fd`. Sink and owner are for its user to set.
struct transport *transport_socket_new(struct loop *l, int fd);
