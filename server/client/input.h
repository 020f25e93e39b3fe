// SPDX-License-Identifier: MIT
// What goes into a pipe whose reader takes it when it likes: a window waits here at most, and whoever has
// more waits. The loop's thread only.
#pragma once
#include <sys/types.h>
#include "base/buf.h"
#include "loop/watch.h"

enum { INPUT_WINDOW = 64 << 10 };

struct input {
  struct watch watch;
  int fd;             // -1: closed
  bool is_finished;   // closes once what waits has been written
  struct buf waiting; // of it, `at` bytes have been written
  size_t at;
  void (*on_news)(struct input *i); // there is room, or it is closed. Does not enter Lua
};

// Takes the pipe's end, non-blocking.
void input_open(struct input *i, struct loop *loop, int fd, void (*on_news)(struct input *i));

// One that is closed already.
void input_init_closed(struct input *i);

// How many bytes it has taken, from the first; 0: none before on_news; -1: it is closed, by whichever side.
ssize_t input_write(struct input *i, struct span bytes);

// Closes it behind what has been written, or at once: that is the end of the file to its reader.
void input_finish(struct input *i);
void input_close(struct input *i);
