// SPDX-License-Identifier: MIT
// One look at a file that is followed: what of it blocks, on a thread of the pool.
#pragma once
#include <stdint.h>
#include "base/buf.h"
#include "client/tail.h"
#include "loop/pool.h"

struct look {
  struct work work;
  struct tail *tail; // whose it is; valid for the job's on_done only
  char *path;
  int next_fd;             // the file that has taken its name; -1: none is known
  int fd;                  // -1: the file is to be opened
  struct tail_start start; // where a file that was opened is begun
  uint64_t offset;
  size_t max; // bytes to read
  // What it has found:
  struct buf bytes;
  int error;         // an errno; of opening, of reading
  bool was_opened;   // just now
  bool is_truncated; // shorter than the offset: `bytes` are from its start
  bool is_gone;      // read to its end, and its name leads elsewhere, to next_fd, or nowhere
};

// Frees it, and closes what it has open.
void look_free(struct look *l);

// work.run.
void look_run(struct work *w);
