// SPDX-License-Identifier: MIT
// Bytes of any number: in memory as long as they are few, then in a temporary file that has no name.
#pragma once
#include <stdint.h>
#include <sys/types.h>
#include "base/buf.h"

struct spool {
  struct buf memory;
  int fd; // -1: all is in memory
  uint64_t size;
};

#define SPOOL_EMPTY ((struct spool){.fd = -1})

// Appends bytes; above `memory_max` of them all go to a file in TMPDIR. -1 with errno.
int spool_append(struct spool *s, struct span bytes, size_t memory_max);

// Reads up to `len` bytes at `at` to `out`: how many, 0 at the end, -1 with errno.
ssize_t spool_read(const struct spool *s, uint64_t at, char *out, size_t len);

// Lets go of the bytes.
void spool_deinit(struct spool *s);
