// SPDX-License-Identifier: MIT
// An accepted connection: a transport, a protocol, and at most one exchange at a time. Worker thread only.
#pragma once
#include "base/buf.h"
#include "loop/timer.h"
#include "loop/transport.h"
#include "serve/service.h"
#include "serve/stream.h"

enum conn_state {
  CONN_OPEN,
  CONN_LINGERING // our side has ended: what still comes is dropped, until the client ends or time is up
};

struct conn {
  struct list link;
  struct service *service;
  struct transport *transport;
  struct proto *proto;
  struct stream *stream;
  struct buf in; // bytes that the protocol has not taken yet
  struct timer timer;
  double deadline;      // of the present phase; the timer may fire earlier and is then armed anew
  double body_deadline; // for the whole body
  uint8_t state;
  uint8_t phase;        // enum proto_phase that the deadline is for
  bool has_ended;       // the client has ended its side
  bool is_announced;    // the present request has been handed up
  uint8_t still_turns;  // for which a client that has ended its side was given nothing
  uint16_t refused;     // status to answer bytes that are no request with
  uint32_t requests;    // so far
  uint32_t body_gained; // bytes of the body since its time was counted from
  struct gate_pass pass;
  const char *refusal;
};

// Takes a transport into service, and what it holds of the gate. The connection frees itself.
struct conn *conn_open(struct service *s, struct transport *t, struct gate_pass pass);

// Answers 503 before anything is read, and closes: at once, or when the client has had time to read that.
// Frees it.
void conn_turn_away(struct conn *c, const char *why, bool linger);

// Ends it at once; its stream ends with `reason`. Frees it.
void conn_close(struct conn *c, enum close_reason reason, bool reset);

// The stream's answer is written to its end: on to the next request, or close.
void conn_stream_done(struct conn *c);

// Writes pieces of an answer: bytes taken, or an IO_ code.
ssize_t conn_writev(struct conn *c, const struct iovec *iov, int count);

// The same of a file; IO_EOF where it ends at `offset`.
ssize_t conn_sendfile(struct conn *c, int fd, uint64_t offset, size_t len);

// Says whether a call is wished when the client takes bytes again: conn then flushes its stream.
void conn_want_write(struct conn *c, bool wanted);

// True where the connection can carry another request after this answer.
bool conn_keeps_alive(const struct conn *c, const struct request *r);

// The stream's head is sent and its body is not complete.
void conn_stream_opened(struct conn *c);

// An open stream has nothing to write. Where its client has ended its side that is the end, unless whoever
// produces is about to go on: false where the connection is gone.
bool conn_stream_is_still(struct conn *c);

// Reads on where it was not known what to do with the body; the client's time for it counts from now.
void conn_body_wanted(struct conn *c);

// The same once the body is not wanted any more: what comes of it is dropped.
void conn_body_unwanted(struct conn *c);

// Answers a request whose body is not taken; whoever works on it is told first that the stream is gone.
void conn_refuse_body(struct conn *c, int status, const char *why);

// Limits the body of the present request; false where more of it has been announced.
bool conn_limit_body(struct conn *c, uint64_t max);

// Closes it where nothing of a request has come, not even to where it has not been read yet.
void conn_close_idle(struct conn *c);
