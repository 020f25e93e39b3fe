// SPDX-License-Identifier: MIT
// What a protocol is to a connection: it turns incoming bytes into requests, and what streams have to say
// into outgoing bytes. It holds no descriptor, no timer and no lock; worker thread only.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/span.h"
#include "http/refusal.h"
#include "http/request.h"

struct outq;
struct proto;
struct stream; // the user's, of which a protocol knows nothing more

// What a client can do without end and at little cost to itself.
enum flood { FLOOD_RESETS, FLOOD_FRAMES, FLOOD_HEADS, FLOOD_ANSWERS, FLOOD_KINDS };

// Since when a stream has waited whose deadline was put off, and where its mark (marked_at) is then: another
// mark is of another wait.
struct proto_wait {
  double since, mark;
};

// Upward. What comes in is only taken note of: the connection acts after feed has returned.
struct proto_sink {
  struct stream *(*on_request)(struct proto *p, struct request *r); // takes the request
  void (*on_body)(struct stream *s, struct span bytes);
  void (*on_body_end)(struct stream *s);                 // also where the request has no body
  void (*on_refused)(struct proto *p, struct refusal r); // answer so, then close
  void (*on_reset)(struct stream *s); // the client wants no more of it; it is not to be mentioned again
  void (*on_room)(struct proto *p);   // something may leave that could not before
  void (*on_too_large)(
      struct stream *s); // its body has more bytes than limit_body allows, which are left out

  // What only protocols with many streams say. The first two are for the log and its counters.
  void (*on_declined)(struct proto *p, struct refusal r);              // one request, answered so by itself
  void (*on_flood)(struct proto *p, enum flood what, const char *why); // this was the end of the connection
  void **(*slot)(struct stream *s); // where the protocol keeps what it has of it; NULL in it at first
  double (*now)(struct proto *p);
  void (*on_over)(struct proto *p); // what was filled is its last: it carries nothing more

  // Adds at most `max` bytes of what waits in a stream to `q`; they stay as they are until on_left, or until
  // the stream has finished: a protocol that goes on behind that has copied them. How many.
  size_t (*take)(struct stream *s, size_t max, struct outq *q);
  void (*on_left)(struct stream *s, size_t len); // so many of the bytes taken are gone
};

enum framing {
  FRAMING_NONE,    // no body at all: HEAD, 204, 304
  FRAMING_LENGTH,  // Content-Length
  FRAMING_CHUNKED, // each piece a chunk, an empty one at the end
  FRAMING_CLOSE,   // until the connection closes (HTTP/1.0)
  FRAMING_OPEN     // of a length that is not known: the protocol chooses, or has frames of its own
};

struct response {
  int status;
  enum framing framing;
  uint64_t content_length; // of FRAMING_LENGTH, and said in FRAMING_NONE where `has_length`
  bool has_length;
  bool keep_alive; // whether the connection is to carry more requests; in return, whether it can
  const struct field *fields;
  size_t field_count;
  struct span date; // the Date field's value
};

// How a stream ends: whole; so that the client can tell that something is missing, once all it had has left;
// at once.
enum ending { ENDING_CLEAN, ENDING_CUT, ENDING_RESET };

enum proto_phase {
  PROTO_IDLE,
  PROTO_HEAD,
  PROTO_BODY
}; // before a request's first byte, in its head, behind it

struct proto_ops {
  // Takes bytes in: `bytes` begins with the first byte not consumed so far. Returns how many are consumed
  // now; what remains is given again, with more behind it. It may return behind each request, and 0 where it
  // wants no more before a stream has finished.
  size_t (*feed)(struct proto *p, const char *bytes, size_t len);
  enum proto_phase (*phase)(const struct proto *p);
  // Above `max` bytes, a body whose length the head does not say is refused with 413 from now on; once per
  // request. False where more has been announced already.
  bool (*limit_body)(struct proto *p, struct stream *s, uint64_t max);
  // Begins an answer; chooses the framing where it is FRAMING_OPEN. What it writes to `out` goes into the
  // stream's way out before its body.
  void (*answer)(struct proto *p, struct stream *s, struct response *r, struct buf *out);
  void (*interim)(struct proto *p, struct stream *s, int status, struct buf *out); // 100, likewise
  void (*fill)(struct proto *p, struct outq *q);                                   // what may leave now
  void (*on_sent)(struct proto *p, size_t len);                                    // of what it has filled
  // The stream is over, and will not be mentioned again. False where that is the end of the connection too.
  bool (*finish)(struct proto *p, struct stream *s, enum ending ending);
  // What is said last where no stream can be answered: a head for it, behind which its body belongs; or, of
  // what has frames of its own, what `fill` then has, and false.
  bool (*refuse)(struct proto *p, struct response *r, const char *why, struct buf *out);
  void (*free)(struct proto *p);

  // Of protocols that carry many streams; others have none of it.
  void (*ready)(struct proto *p, struct stream *s);                 // there is more to take of it
  void (*body_kept)(struct proto *p, struct stream *s, size_t len); // so much of its body is not taken
  bool (*go_away)(struct proto *p); // has the client open no more streams; true: call again in a second
  // Which keeps the whole connection's window, for which `s` waits; NULL: none does.
  struct stream *(*hoarder)(struct proto *p, struct stream *s);
  // When the client last took a fair part of what others had, while `s` may leave as soon as it is its turn;
  // 0: it is the client that keeps `s` from leaving.
  double (*passed_over)(struct proto *p, struct stream *s);
  struct proto_wait *(*wait)(struct proto *p, struct stream *s); // which it keeps; NULL: it is done with it
  // When last the client had hardly any room for bodies, as those of others were not taken; 0: never.
  double (*crowded_at)(struct proto *p);
};

struct proto {
  const struct proto_ops *ops;
  const struct proto_sink *sink;
  void *owner; // the connection's; set by it
};

struct proto_limits {
  size_t head, target, fields, chunk_extensions; // bytes, but fields a count; borrowed from the settings
  double fair_part; // bytes that a client is to take within timeouts.send while more wait
  struct http2_limits {
    bool on;                  // else no connection begins as one of it
    size_t streams, window;   // at a time; bytes of a body that may come before they are read
    size_t connection_window; // the same of all bodies
    size_t resets, frames;    // at once; of each a tenth more every second
  } http2;
};
