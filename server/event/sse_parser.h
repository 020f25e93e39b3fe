// SPDX-License-Identifier: MIT
// Reads an event stream by the rules of WHATWG HTML 9.2.6, in pieces of any size. One thread at a time.
#pragma once
#include "base/buf.h"
#include "event/sse.h"

struct sse_parser {
  // For each event that is dispatched: `event` (absent unless it has a name), `data`, and as `id` the last
  // event id, absent where it is empty. All borrowed. It must not feed or free the parser.
  void (*on_event)(struct sse_parser *p, const struct sse_fields *f);
  struct buf line;        // the beginning of one that is not complete
  struct buf event, data; // of the event in the making
  struct buf id, last_id; // the last that was read; that of the last blank line, for the next connection
  size_t event_max;       // bytes that may wait for an event to be complete
  int64_t retry_ms;       // what the sender has asked for; -1: nothing
  bool id_is_new;         // an id has come since the last event
  uint8_t marked;         // bytes of a byte order mark that have come; above 3: the stream is past them
  bool has_data, is_behind_cr, is_too_large;
};

// Ready for the beginning of a stream; `last_id` is what an earlier connection has left.
void sse_parser_init(struct sse_parser *p, void (*on_event)(struct sse_parser *p, const struct sse_fields *f),
                     size_t event_max, struct span last_id);
void sse_parser_deinit(struct sse_parser *p);

// Takes the next bytes. False where an event has become too large: nothing is read from then on.
bool sse_parse(struct sse_parser *p, struct span bytes);
