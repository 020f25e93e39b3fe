// SPDX-License-Identifier: MIT
// What comes from a pipe, one read for each time that the loop finds it readable: nobody who takes it,
// however small the pieces, makes a system call for each. What is not asked for waits in the pipe, and its
// writer waits with it. The loop's thread only.
#pragma once
#include "base/buf.h"
#include "loop/watch.h"

enum { OUTPUT_WINDOW = 64 << 10 }; // bytes of one read, and of what is kept at a time

enum output_mode {
  OUTPUT_ASKED,  // read when somebody wants it
  OUTPUT_KEPT,   // read at once, and kept up to a number of bytes; the rest is lost
  OUTPUT_LINES,  // read at once, and told line by line
  OUTPUT_DROPPED // read at once, and dropped
};

enum output_found { OUTPUT_NOTHING_YET, OUTPUT_TAKEN, OUTPUT_OVER };

struct output;

struct output_ops {
  void (*on_news)(struct output *o); // there is something to take, or the end. Does not enter Lua
  void (*on_line)(struct output *o, struct span line); // OUTPUT_LINES
};

struct output {
  struct watch watch;
  const struct output_ops *ops;
  int fd; // -1: it has come to its end
  enum output_mode mode;
  bool has_lost;       // something that did not fit
  struct buf buf;      // what has been read ...
  size_t at, searched; // ... of it taken; and known to hold no end of a line, from there
  size_t kept_max;     // bytes, of OUTPUT_KEPT
  size_t left;         // bytes that may still be read
};

// Takes the pipe's end, non-blocking.
void output_open(struct output *o, struct loop *loop, int fd, enum output_mode mode,
                 const struct output_ops *ops);

// An output that has come to its end already.
void output_init_over(struct output *o);
void output_deinit(struct output *o);

// Changes what becomes of it from now on. `max`: of OUTPUT_KEPT.
void output_set_mode(struct output *o, enum output_mode mode, size_t max);

// Has on_news be called when there is more, of OUTPUT_ASKED.
void output_want(struct output *o);

// The next line without its line feed, or what there is where it has `max` bytes and none, or all that there
// is; borrowed until the next call of any of these. The other two say that there is nothing yet, and that
// this was all.
enum output_found output_take_line(struct output *o, size_t max, struct span *line);
enum output_found output_take_all(struct output *o, struct span *bytes);

// Nobody who matters writes any more: it ends behind what is there now.
void output_finish(struct output *o);

static inline size_t output_waiting(const struct output *o) { return o->buf.len - o->at; }

static inline bool output_is_over(const struct output *o) { return o->fd < 0 && !output_waiting(o); }
