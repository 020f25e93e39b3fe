// SPDX-License-Identifier: MIT
// An encoded event read back, for what transforms it (WHATWG HTML 9.2.6, of our own output only).
#pragma once
#include "event/event.h"

struct event_text_reader {
  struct span rest;
};

// An event without its frame, borrowed.
static inline struct span event_text(const struct event *e) {
  return (struct span){e->bytes + e->bare_at, event_bare_len(e)};
}

// The next line's field name ("comment" of a comment) and value, which point into the text; false at the
// end.
static inline bool event_text_next(struct event_text_reader *r, struct span *name, struct span *value) {
  struct span line = span_split(&r->rest, '\n');
  if (!line.len) return false;
  *name = span_split(&line, ':');
  if (line.len && line.bytes[0] == ' ') line.bytes++, line.len--;
  if (!name->len) *name = SPAN("comment");
  *value = line;
  return true;
}
