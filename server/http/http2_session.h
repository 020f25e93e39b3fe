// SPDX-License-Identifier: MIT
// A connection of HTTP/2 as its files share it. Worker thread only.
#pragma once
#include <nghttp2/nghttp2.h>
#include "base/buf.h"
#include "base/list.h"
#include "http/http2_head.h"
#include "http/http2_limits.h"
#include "http/http2_scan.h"
#include "http/proto.h"

enum { ENDED_KEPT = 32, EARLY_KEPT = 8 };

// Where a request says none, streams take turns: the default of RFC 9218, one after the other, would have the
// first keep all others waiting for as long as it likes.
struct http2_priority {
  uint8_t urgency; // 0 to 7; 3 where it says none
  bool takes_turns;
};

// Told before the request, of the latest streams.
struct http2_early {
  int32_t id;
  struct http2_priority priority;
};

struct http2 {
  struct proto proto;
  nghttp2_session *session;
  const struct proto_limits *limits;
  struct http2_head head; // that comes now: those of two streams do not interleave (RFC 9113 4.3)
  struct http2_scan scan;
  struct http2_flow flow;
  struct list streams; // in the order of their numbers
  struct list ready, batched;
  struct list waiting; // for another to be whole
  struct buf batch;    // frames on their way
  size_t batch_left;
  size_t batch_whole; // frames of it that no window has cut
  size_t moved_len;   // bytes that have left with what streams have, since ...
  double moved_at;    // ... a fair part of them had
  double crowded_at;  // when there was last little room for bodies; 0: never
  struct buf last;    // a GOAWAY of our own: behind it nothing is asked of the session any more
  int32_t
      ended[ENDED_KEPT]; // streams that their client had ended before they were closed, the latest of them
  uint8_t ended_at;      // where the next goes
  struct http2_early early[EARLY_KEPT];
  uint8_t early_at; // where the next goes
  uint8_t leaving;  // how many times it was told to go away
  bool in_head;     // between a head's first frame and its last
  bool is_settled;  // the client has acknowledged our settings
  bool is_over;     // nothing follows what was filled
  bool has_share;   // a part of a file is in the batch ...
  bool has_more;    // ... and another follows once it has left
};

struct http2_stream {
  struct list link;
  struct list ready;     // it has more to give, or waits for another to be whole
  struct list batched;   // some of it is in the batch
  struct stream *stream; // NULL: the connection is done with it
  const char *refusal;   // the body of what it is answered with instead
  uint64_t received, body_max;
  struct proto_wait wait;
  int32_t id;
  uint32_t in_batch;
  uint32_t unread;       // bytes that its window, and the connection's, lack
  uint8_t urgency;       // the smaller, the sooner
  bool takes_turns : 1;  // with others of its urgency; else it goes whole, if it has an end
  bool has_length : 1;   // its answer
  bool is_deferred : 1;  // nghttp2 waits to be told that there is more
  bool has_more : 1;     // then there is, once what the batch has of it has left
  bool is_answered : 1;  // a head is on its way
  bool is_done : 1;      // all of it was handed over but for its end
  bool is_ended : 1;     // also that
  bool is_closed : 1;    // nghttp2 is done with it
  bool client_ended : 1; // all of the request has come
};

// Ends the connection: `code` and why go out as the last frame.
void http2_end(struct http2 *h, uint32_t code, const char *why);

// The same of a client that does without end what costs it little.
void http2_flooded(struct http2 *h, enum flood what, const char *why);
