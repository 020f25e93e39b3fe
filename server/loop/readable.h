// SPDX-License-Identifier: MIT
// A descriptor of whatever kind that a loop watches for something to read. The descriptor stays its owner's.
#pragma once
#include "loop/loop.h"

struct readable {
  struct loop *loop;
  struct ev_io io;
  void (*on_readable)(struct readable *r); // may stop it
};

// Begins to watch `fd`, which is open until readable_stop.
void readable_start(struct readable *r, struct loop *loop, int fd);

// Ends that; harmless where it was never started or is stopped.
void readable_stop(struct readable *r);

static inline int readable_fd(const struct readable *r) { return r->io.fd; }
