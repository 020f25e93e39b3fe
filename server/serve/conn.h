// SPDX-License-Identifier: MIT
// An accepted connection: a transport, a protocol, and the streams that it carries. Worker thread only.
#pragma once
#include "base/buf.h"
#include "loop/timer.h"
#include "loop/transport.h"
#include "serve/admission.h"
#include "serve/stream.h"

enum conn_state {
  CONN_OPENING,   // the transport does not carry bytes yet: there is no protocol
  CONN_OPEN,      // it has one
  CONN_LEAVING,   // what is said last, such as the answer to what was no request, is on its way
  CONN_LINGERING, // our side has ended: what still comes is dropped, until the client ends or time is up
  CONN_CLOSED     // it has no transport, protocol and streams any more, and is freed at the end of the turn
};

struct conn {
  struct carrier carrier;
  struct list link;  // in the service
  struct list dirty; // where there may be something to write; in the service too
  struct transport *transport;
  struct proto *proto;
  struct list streams;
  struct buf in;    // bytes that the protocol has not taken yet; once refused, the answer
  size_t in_flight; // bytes that the transport has and that have not left
  struct timer timer;
  double deadline;      // of the present phase; the timer may fire earlier and is then armed anew
  double body_deadline; // for the whole body
  uint8_t state;        // enum conn_state
  uint8_t phase;        // enum proto_phase that the deadline is for
  uint8_t stay;         // enum admission_stay
  uint8_t still_turns;  // for which a client that has ended its side was given nothing
  bool has_ended : 1;   // the client has ended its side
  bool has_marked : 1;  // what is to end has been noted in one of the streams
  bool is_chosen : 1;   // the client's first bytes have said what it speaks
  bool is_over : 1;     // the protocol has said its last
  bool is_all : 1;      // what is queued is all there was; what comes behind it touches
  uint8_t leaving : 2;  // how often its client was told to open no more streams
  uint32_t requests;    // so far
  uint32_t body_gained; // bytes of the body since its time was counted from
  struct admission_address *admission_address;
};

_Static_assert(sizeof(struct conn) <= 184, "kept by every stream");

static inline struct conn *conn_of(struct carrier *c) { return container_of(c, struct conn, carrier); }

// Whether what it has sent is in the loop's batch, and so goes on when that is closed.
static inline bool conn_is_queued(const struct conn *c) {
  return c->state != CONN_CLOSED && c->transport->is_queued;
}

// Takes a transport into service, and what it holds of the admission. A connection lasts until the end of the
// turn in which it is closed.
struct conn *conn_open(struct service *s, struct transport *t, enum admission_stay stay,
                       struct admission_address *admission_address);

// Answers before anything is read, and closes: at once, or when the client has had time to read that.
void conn_turn_away(struct conn *c, struct refusal r, bool may_linger);

// Ends it at once; its streams end with `reason`.
void conn_close(struct conn *c, enum close_reason reason, bool reset);

// Closes it where nothing of a request has come, or answers the one that has come just now. A client that can
// be told to open no more streams is told; the connection then ends with the last of them.
void conn_close_idle(struct conn *c);

// Writes what its streams have. False where the connection is gone afterwards.
bool conn_flush(struct conn *c);
