// SPDX-License-Identifier: MIT
// A descriptor of whatever kind that a loop watches, for something to read, for room to write, or both. The
// descriptor is non-blocking and stays its owner's. The loop's thread only.
#pragma once
#include <stdint.h>
#include "loop/loop.h"

enum { WATCH_READ = 1, WATCH_WRITE = 2 };

enum { WATCH_IO_LEN = 48 };

struct watch {
  struct loop *loop; // NULL: not watching
  // Told what it may try, of what it asked for; the try may find nothing. It may set, stop or free the watch.
  void (*on_ready)(struct watch *w, unsigned events);
  int fd;
  uint8_t events;  // asked for
  bool is_refused; // by the kernel: io holds a timer instead
  uint8_t round;   // of the loop's, in which it was told last
  // Embedded, so that none is allocated per connection.
  _Alignas(uint64_t) unsigned char io[WATCH_IO_LEN];
};

// Begins to watch `fd`, which is open until watch_stop; on_ready is set before. Where the kernel has no
// memory to watch it, it is taken for ready, and asked again ten times a second.
void watch_start(struct watch *w, struct loop *loop, int fd, unsigned events);

// watch_set's, where something changes.
void watch_change(struct watch *w, unsigned events);

// Asks for something else of a watch that has been started; 0: for nothing.
static inline void watch_set(struct watch *w, unsigned events) {
  if (w->events != events) watch_change(w, events);
}

// Ends it; harmless where it was never started or is stopped.
void watch_stop(struct watch *w);

static inline int watch_fd(const struct watch *w) { return w->fd; }
