// SPDX-License-Identifier: MIT
// What a protocol is to a connection: it turns incoming bytes into requests and a reply into outgoing bytes.
// It holds no descriptor, no timer and no lock; worker thread only.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/span.h"
#include "http/request.h"

struct proto;

// Upward calls to the connection. They only take note: the connection acts after feed has returned.
struct proto_sink {
  void (*on_request)(struct proto *p, struct request *r); // takes the request
  void (*on_body)(struct proto *p, const char *bytes, size_t len);
  void (*on_body_end)(struct proto *p);                             // also where the request has no body
  void (*on_refused)(struct proto *p, int status, const char *why); // answer with status, then close
};

enum framing {
  FRAMING_NONE,    // no body at all: HEAD, 204, 304
  FRAMING_LENGTH,  // Content-Length
  FRAMING_CHUNKED, // each piece a chunk, an empty one at the end
  FRAMING_CLOSE    // until the connection closes (HTTP/1.0)
};

struct response {
  int status;
  enum framing framing;
  size_t content_length; // of FRAMING_LENGTH, and said in FRAMING_NONE where `has_length`
  bool has_length;
  bool keep_alive;
  int minor; // the request's
  const struct field *fields;
  size_t field_count;
  struct span date; // the Date field's value
};

enum proto_phase {
  PROTO_IDLE,
  PROTO_HEAD,
  PROTO_BODY
}; // before a request's first byte, in its head, behind it

struct proto_ops {
  // Takes bytes in: `bytes` begins with the first byte not consumed so far. Returns how many are consumed
  // now; what remains is given again, with more behind it. It consumes at most one request: after
  // on_body_end or on_refused it takes nothing until next().
  size_t (*feed)(struct proto *p, const char *bytes, size_t len);
  enum proto_phase (*phase)(const struct proto *p);
  // Above `max` bytes, a body whose length the head does not say is refused with 413 from now on; once per
  // request. False where more has been announced already.
  bool (*limit_body)(struct proto *p, uint64_t max);
  void (*next)(struct proto *p); // ready for another request
  void (*write_head)(struct proto *p, const struct response *r, struct buf *out);
  struct span (*write_end)(struct proto *p, enum framing framing); // what ends a body; static
  void (*free)(struct proto *p);
};

struct proto {
  const struct proto_ops *ops;
  const struct proto_sink *sink;
  void *owner; // the connection's; set by it
};

struct proto_limits {
  size_t head, target, fields, chunk_extensions; // bytes, but fields a count; borrowed from the settings
};
