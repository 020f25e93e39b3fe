// SPDX-License-Identifier: MIT
// Bytes on their way to clients: an encoded event, or a head or body. Immutable once made, in one allocation,
// counted; shared by streams, history and threads without a copy.
#pragma once
#include <stdatomic.h>
#include <stdint.h>
#include "base/slab.h"
#include "base/span.h"
#include "event/position.h"

struct compressor;

// The same bytes as blocks of a deflate stream, made where they are wanted (event/forms).
struct forms {
  struct compressor *compressor;         // of its channel, in whose stream its place is; NULL: it has none
  uint64_t pos;                          // the place
  uint64_t floor;                        // `shared` refers to nothing before this place
  uint32_t crc_before, crc_after;        // sums of what the stream has up to the event, and with it
  _Atomic(struct event *) alone, shared; // NULL: not made
};

struct event {
  atomic_uint refs;
  uint32_t bare_at : 31;  // where they begin without the frame, for what frames otherwise or not at all
  uint32_t has_trace : 1; // behind `len` bytes stand TRACE_LEN more, which no client gets
  size_t len;             // of all bytes: framed as an HTTP/1.1 chunk
  uint64_t epoch, seq;    // its position in its channel; 0: of none
  uint64_t key;           // events of one key stand for one another (conflate)
  _Atomic(struct forms *) forms; // other encodings of it; NULL: none so far
  struct slab *home;             // of one thread, which it does not leave; NULL: malloc
  char bytes[];
};

enum { TRACE_LEN = 55 };      // of a traceparent (W3C Trace Context), of which it was published
enum { EVENT_FRAME_END = 2 }; // bytes of a chunk's frame behind the bare ones

// How many bytes there are without the frame. Any thread.
static inline size_t event_bare_len(const struct event *e) {
  return e->bare_at ? e->len - e->bare_at - EVENT_FRAME_END : e->len;
}

static inline struct position event_position(const struct event *e) {
  return (struct position){e->epoch, e->seq};
}

// An event with room for `len` bytes and one reference; bare is the whole until set. Its memory is from
// `home`, whose thread it does not leave, or malloc's (NULL). Any thread.
struct event *event_new(struct slab *home, size_t len);

// An event that holds a copy of `bytes`. Any thread.
struct event *event_of_bytes(struct span bytes);

// The same with room for one chunk frame around `bare_len` bytes: *bare is where they go.
struct event *event_new_at(struct slab *home, size_t bare_len, char **bare);

// The same of malloc's.
struct event *event_new_framed(size_t bare_len, char **bare);

// The traceparent that it keeps; empty where it has none. Any thread.
static inline struct span event_trace(const struct event *e) {
  return e->has_trace ? (struct span){e->bytes + e->len, TRACE_LEN} : (struct span){0};
}

// The same event (taken), which nobody else has and no slab, with a trace of TRACE_LEN bytes. Any thread.
struct event *event_with_trace(struct event *e, struct span trace);

// Takes another reference. Any thread.
static inline struct event *event_ref(struct event *e) {
  atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
  return e;
}

// Drops a reference and frees the event with the last one; NULL is allowed. Any thread.
void event_unref(struct event *e);

// Events alive in the process, without the forms that others have; bytes of these. Any thread.
long event_count(void);
long event_form_bytes(void);

// Says that an event is a form that another has from now on. Any thread.
void event_keep_form(const struct event *form);
