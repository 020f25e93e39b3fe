// SPDX-License-Identifier: MIT
// What a transport was given and has not sent: its pieces are noted, not copied, and belong to the transport
// until they have left. Freed by free().
#pragma once
#include "loop/transport.h"

// Begins with what is to go next.
struct flight {
  int count, at, fd; // count 0: a part of a file
  size_t len;
  uint64_t offset;
  struct iovec iov[];
};

// All of these pieces, `len` bytes; whose is a part of a file says so itself.
struct flight *flight_new(const struct iovec *iov, int count, size_t len);

// What is left once `n` bytes have gone.
void flight_skip(struct flight *f, size_t n);
