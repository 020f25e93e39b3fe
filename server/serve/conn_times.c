// SPDX-License-Identifier: MIT
// What a connection waits for, how long, and how much it reads meanwhile.
#include <math.h>
#include "serve/conn_parts.h"

static const double NOTICE_SECONDS = 1;

void conn_set_deadline(struct conn *c, double at) {
  c->deadline = at;
  loop_arm_by(c->carrier.service->loop, &c->timer, at);
}

// Whose request's body has not come to its end, and is what the connection reads; NULL: none's.
struct stream *conn_reading(const struct conn *c) {
  struct stream *s = list_empty(&c->streams) ? NULL : container_of(c->streams.prev, struct stream, link);
  if (conn_carries_many(c)) return NULL;
  return s && !s->body_done ? s : NULL;
}

// Bytes may have moved the protocol on. A head has its time from its first byte, however many follow; a body
// has some between any two reads and some in all.
void conn_watch(struct conn *c) {
  if (c->leaving) return;
  double now = c->carrier.service->loop->now;
  const struct settings *set = c->carrier.service->settings;
  enum proto_phase phase = c->proto->ops->phase(c->proto);
  bool same = phase == c->phase;
  c->phase = (uint8_t)phase;
  if (phase == PROTO_BODY) {
    const struct stream *reading = conn_reading(c);
    bool waits = reading && stream_body_is_due(reading);
    conn_set_deadline(c, waits ? MIN(now + set->timeouts.body, c->body_deadline) : INFINITY);
  } else if (!same)
    conn_set_deadline(c, now + (phase == PROTO_HEAD ? set->timeouts.head : set->timeouts.idle));
}

// How many bytes may be read now: of a body as many as are wanted, behind it some of what is pipelined.
static size_t read_room(const struct conn *c) {
  if (c->has_ended) return 0;
  const struct stream *reading = conn_reading(c);
  if (reading) return MIN(stream_body_room(reading), (size_t)LOOP_SCRATCH_LEN);
  bool is_much = c->in.len >= c->carrier.service->settings->limits.head && !list_empty(&c->streams);
  return is_much ? 0 : LOOP_SCRATCH_LEN;
}

void conn_want_read(struct conn *c) { c->transport->ops->want_read(c->transport, read_room(c)); }

bool conn_can_carry_more(const struct conn *c) {
  const struct settings *set = c->carrier.service->settings;
  bool more_to_come = !c->has_ended || c->in.len;
  size_t requests = conn_carries_many(c) ? set->http2.requests : set->limits.requests;
  return more_to_come && !c->carrier.service->draining && c->requests < requests;
}

// Has the client open no more streams: twice, as what it has opened meanwhile is served (RFC 9113 6.8).
void conn_depart(struct conn *c) {
  if (c->leaving == 2) return;
  c->leaving++;
  bool again = c->proto->ops->go_away(c->proto);
  conn_set_deadline(c, c->carrier.service->loop->now + (again ? NOTICE_SECONDS : LINGER_SECONDS));
}

// The client has connected, and its request may be on its way: to it the server has not stopped yet.
void conn_expect_first(struct conn *c) {
  conn_set_deadline(c, MIN(c->deadline, c->carrier.service->loop->now + NOTICE_SECONDS));
}
