// SPDX-License-Identifier: MIT
// What one reader's gzip stream has carried so far, and which form of the next event it takes. The thread of
// whoever owns it.
#pragma once
#include "event/forms.h"

// Kept by each compressed stream.
struct gzip {
  union {
    struct compressor *shared; // of the channel whose events it carries; NULL: none so far
    struct deflater *own;      // of a stream of one reader; NULL: none so far
  };
  uint64_t run_from, run_to; // what it has of the channel's places without a gap; GZIP_OWN: `own` is meant
  uint32_t run_crc, run_crc_end;
  uint32_t crc, len; // of all before the run, modulo 1 << 32
};

_Static_assert(sizeof(struct gzip) <= 40, "kept by every compressed stream");

// What a thread's streams compress with beside what is theirs.
struct gzip_tools {
  struct deflater *alone; // of events by themselves
  struct deflater_total *total;
  int window_bits; // of a stream of one reader
};

// Its deflater for what stands alone, made with the first use.
struct deflater *gzip_alone(struct gzip_tools *tools);

// A stream of a channel's events; or one with a window of its own, from the first event on, unless there is
// no room for it.
void gzip_init(struct gzip *g, bool is_own);
void gzip_deinit(struct gzip *g);

// The channel's events come from now on: takes the reference to the compressor, and watches it.
void gzip_share(struct gzip *g, struct compressor *c);

// The event (takes the reference) as it is to leave now, as a reference: nothing can take it back. In the
// order in which they leave.
struct event *gzip_form(struct gzip *g, struct event *e, struct gzip_tools *tools, double now);

// What ends it, behind all that has left.
struct event *gzip_end(struct gzip *g);
