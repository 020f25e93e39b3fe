// SPDX-License-Identifier: MIT
// A connection reads, lets its protocol find a request, hands that up and waits; when the answer is written
// it goes on with what has come meanwhile. It reads on under an open event stream, since only a read tells
// that the client has left. What a client says meanwhile is its next request, and waits; past limits.head it
// is not read on. A client that ends its side may have left, or want the rest all the same (a half-close),
// which looks alike: it gets what is ready, and its stream ends where it would wait for anything but the
// client. Nothing ends while the protocol runs: its callbacks take note, `advance` and `settle`
// act. What is closed is freed at the end of the turn, so that whoever called may look.
#include "http/http2.h"
#include "serve/access.h"
#include "serve/conn_parts.h"
#include "serve/error_reply.h"
#include "serve/misdirected.h"

enum { STILL_TURNS_MAX = 16 }; // in which one task may wake another that sends, and so on

// The protocol, which may go on to say something, knows none of them any more.
static void close_streams(struct conn *c, enum close_reason reason) {
  while (!list_empty(&c->streams)) {
    struct stream *s = container_of(c->streams.next, struct stream, link);
    if (c->state != CONN_CLOSED) c->proto->ops->finish(c->proto, s, ENDING_RESET);
    stream_free(s, reason);
  }
}

void conn_close(struct conn *c, enum close_reason reason, bool reset) {
  struct service *service = c->carrier.service;
  if (c->state == CONN_CLOSED) return;
  c->state = CONN_CLOSED;
  list_remove(&c->link);
  list_remove(&c->dirty);
  list_append(&service->closed, &c->link);
  loop_disarm(service->loop, &c->timer);
  close_streams(c, reason); // before their peer is gone; nothing is sent any more
  c->transport->ops->close(c->transport, reset);
  if (c->proto) c->proto->ops->free(c->proto);
  counter_add(&service->counters.connections_open, -1);
  admission_leave(&service->process->admission, (enum admission_stay)c->stay, c->admission_address);
  buf_deinit(&c->in);
}

static struct stream *stream_of_file(const struct conn *c) {
  list_each (node, &c->streams)
    if (container_of(node, struct stream, link)->file) return container_of(node, struct stream, link);
  return NULL;
}

void conn_on_error(struct transport *t, enum transport_error why) {
  struct conn *c = t->owner;
  struct stream *s = why == TRANSPORT_FILE_SHORT ? stream_of_file(c) : NULL;
  if (s) access_file_short(s);
  conn_close(c, s ? REASON_ERROR : REASON_CLIENT_CLOSED, s != NULL);
}

static void on_left(struct conn *c, size_t len) {
  c->still_turns = 0;
  c->proto->ops->on_sent(c->proto, len);
}

// Hands the transport all that it takes at once; true where others have their turn before the next.
static bool send_ready(struct conn *c) {
  struct outq q;
  while (!c->in_flight) {
    q.count = 0, q.len = 0, q.is_share = q.has_more = false;
    c->proto->ops->fill(c->proto, &q);
    if (!q.len) return false;
    ssize_t n = c->transport->ops->send(c->transport, &q);
    if (n < 0) {
      conn_on_error(c->transport, (enum transport_error)n);
      return false;
    }
    c->in_flight = q.len - (size_t)n;
    c->is_all = c->transport->is_queued && !q.has_more;
    if (n) on_left(c, (size_t)n);
    if (q.is_share && !c->in_flight) return true;
    if (!q.has_more) break;
  }
  return false;
}

// Ends our side and waits for the client's: a close with unread bytes would reset the connection, and the
// client would lose an answer that is still on its way (RFC 9112 9.6).
static void linger(struct conn *c) {
  if (c->has_ended) {
    conn_close(c, REASON_FINISHED, false);
    return;
  }
  c->state = CONN_LINGERING;
  buf_deinit(&c->in);
  c->transport->ops->end(c->transport);
  c->transport->ops->want_read(c->transport, LOOP_SCRATCH_LEN);
  conn_set_deadline(c, c->carrier.service->loop->now + LINGER_SECONDS);
}

// Sends a last answer, to what is no request. False where the client does not take it at once, or is gone.
static bool send_refusal(struct conn *c, int status, const char *why) {
  c->in.len = 0;
  if (!error_refuse(&c->carrier, c->proto, status, why, &c->in)) {
    send_ready(c);
    return c->state != CONN_CLOSED && !c->in_flight;
  }
  struct outq q = {.len = c->in.len};
  q.iov[q.count++] = (struct iovec){c->in.bytes, c->in.len};
  ssize_t n = c->transport->ops->send(c->transport, &q);
  if (n >= 0) c->in_flight = q.len - (size_t)n;
  return n >= 0 && !c->in_flight;
}

// Ends our side once what is said last has left. A client that does not take it in LINGER_SECONDS goes
// without.
static void end_when_sent(struct conn *c) {
  if (!c->in_flight) {
    linger(c);
    return;
  }
  c->state = CONN_LEAVING;
  conn_set_deadline(c, c->carrier.service->loop->now + LINGER_SECONDS);
}

// Answers bytes that are no request; not in the middle of what is on its way.
static void conn_refuse(struct conn *c, struct refusal r) {
  service_refused(c->carrier.service, r.limit);
  access_refused(&c->carrier, r.status, r.why);
  if (conn_carries_many(c)) close_streams(c, REASON_ERROR);
  else if (c->in_flight || !list_empty(&c->streams)) {
    conn_close(c, REASON_ERROR, true);
    return;
  }
  bool is_told = send_refusal(c, r.status, r.why);
  if (is_told || c->in_flight) end_when_sent(c);
  else conn_close(c, REASON_ERROR, false);
}

// What has come already is read first, and dropped: a close with unread bytes would reset the connection.
void conn_turn_away(struct conn *c, struct refusal r, bool may_linger) {
  bool is_told = c->proto && send_refusal(c, r.status, r.why);
  if (is_told && may_linger) {
    linger(c);
    return;
  }
  c->state =
      CONN_LINGERING; // no request of these bytes is served after this answer, nor closes what is used here
  c->transport->ops->read_now(c->transport);
  c->transport->ops->end(c->transport);
  conn_close(c, REASON_ERROR, false);
}

void conn_refuse_request(struct conn *c, struct refusal refusal) {
  struct stream *reading = conn_reading(c);
  if (reading) stream_refuse_body(reading, refusal);
  else conn_refuse(c, refusal);
}

// Hands up what requests have come. Who answers at once only queues.
static void announce(struct conn *c) {
  struct list *first = &c->streams;
  while (first->prev != &c->streams && !container_of(first->prev, struct stream, link)->is_announced)
    first = first->prev;
  for (struct list *node = first, *next; node != &c->streams; node = next) {
    struct stream *s = container_of(node, struct stream, link);
    next = node->next;
    if (s->is_announced || s->is_reset) continue;
    s->is_announced = true;
    if (!misdirected_answer(s, c->transport)) c->carrier.service->ops->on_request(c->carrier.service, s);
  }
}

// Lets the protocol take what it can; true where it is to be asked again.
static bool feed(struct conn *c, struct span *bytes) {
  size_t taken = c->proto->ops->feed(c->proto, bytes->bytes, bytes->len);
  bytes->bytes += taken, bytes->len -= taken;
  if (c->carrier.service->refusal.status) return false;
  announce(c);
  return taken && bytes->len;
}

// Line ends in front of what a client says under an event stream of HTTP/1 are no part of a request, however
// many. A CR alone waits for what follows it, as it may be half of one that is over by then.
struct span conn_skip_line_ends(struct span bytes) {
  while (bytes.len && (bytes.bytes[0] == '\n' || (bytes.bytes[0] == '\r' && bytes.len > 1)))
    bytes.bytes++, bytes.len--;
  return bytes;
}

bool conn_has_event_stream(const struct conn *c) {
  return c->transport->protocol == PROTOCOL_HTTP1 && !conn_reading(c) && !list_empty(&c->streams) &&
         container_of(c->streams.prev, struct stream, link)->is_sse;
}

// What is urgent cannot pass what the kernel has.
void conn_speak_http2(struct conn *c) {
  c->transport->protocol = PROTOCOL_HTTP2;
  c->transport->ops->bound(c->transport, c->carrier.service->settings->limits.send_buffer);
  c->proto = http2_new(&conn_proto_sink, &c->carrier.service->limits);
  c->proto->owner = c;
}

// Whether it is known what the client speaks: where both sides have not agreed on it before, its first bytes
// tell.
static bool choose(struct conn *c, struct span bytes) {
  bool is_open = c->transport->protocol == PROTOCOL_HTTP1 && c->carrier.service->settings->http2.on;
  enum preface preface = is_open ? http2_preface(bytes) : PREFACE_NONE;
  if (preface == PREFACE_PART) return false;
  c->is_chosen = true;
  if (preface == PREFACE_NONE) return true;
  c->proto->ops->free(c->proto);
  conn_speak_http2(c);
  return true;
}

// Works on `bytes`, which follow what c->in held before and are not in it; keeps what is left over.
static void advance(struct conn *c, struct span bytes) {
  if (c->in.len) {
    buf_append_span(&c->in, bytes);
    bytes = buf_span(&c->in);
  }
  if (conn_has_event_stream(c)) bytes = conn_skip_line_ends(bytes);
  struct refusal *refusal = &c->carrier.service->refusal, refused;
  *refusal = ACCEPTED;
  while ((c->is_chosen || choose(c, bytes)) && feed(c, &bytes)) continue;
  refused = *refusal;
  if (c->in.len) buf_consume(&c->in, c->in.len - bytes.len);
  else buf_append_span(&c->in, bytes);
  if (!c->in.len) buf_deinit(&c->in);
  if (refused.status) {
    conn_refuse_request(c, refused);
    return;
  }
  if (c->has_ended && (conn_reading(c) || list_empty(&c->streams))) { // the rest will not come
    conn_close(c, REASON_CLIENT_CLOSED, false);
    return;
  }
  if (conn_carries_many(c) && !c->leaving && !conn_can_carry_more(c)) conn_depart(c);
  conn_watch(c);
  conn_want_read(c);
}

// Ends our side once what the protocol says last has left.
static void conn_leave(struct conn *c) {
  send_ready(c);
  if (c->state != CONN_CLOSED) end_when_sent(c);
}

// What follows where a stream has gone and the connection has not.
static void go_on(struct conn *c, bool can) {
  c->phase = PROTO_BODY; // whatever the protocol is in now has its time from here
  if (c->transport->protocol != PROTOCOL_HTTP1) conn_touch(c); // the protocol may have said that it ended
  if (!list_empty(&c->streams)) return;
  if (can && conn_can_carry_more(c)) advance(c, SPAN(""));
  else if (!conn_carries_many(c)) conn_leave(c);
  else if (!c->leaving) conn_depart(c);
}

// Ends what the client wants no more of, and what has a body that is too large.
static void end_marked(struct conn *c) {
  bool any = false;
  if (!c->has_marked) return;
  c->has_marked = false;
  list_each (node, &c->streams) {
    struct stream *s = container_of(node, struct stream, link);
    if (s->is_reset) stream_free(s, REASON_CLIENT_CLOSED), any = true;
    else if (s->is_too_large) stream_refuse_body(s, TOO_LARGE);
  }
  if (any) go_on(c, true);
}

// What its protocol has said last is on its way.
static void end_over(struct conn *c) {
  close_streams(c, REASON_CLIENT_CLOSED);
  end_when_sent(c);
}

// What follows once all a stream had has left.
static void finish_stream(struct conn *c, struct stream *s) {
  bool cut = s->cut, reset = s->framing == FRAMING_CLOSE;
  bool goes_on = c->proto->ops->finish(c->proto, s, cut ? ENDING_CUT : ENDING_CLEAN);
  stream_free(s, (enum close_reason)s->reason);
  if (cut && !goes_on) conn_close(c, REASON_ERROR, reset);
  else go_on(c, goes_on);
}

// Whether nothing is to come but what producers may still make.
static bool is_still(const struct conn *c) {
  list_each (node, &c->streams) {
    const struct stream *s = container_of(node, struct stream, link);
    if (s->state != STREAM_OPEN || s->queue.count) return false;
  }
  return !list_empty(&c->streams);
}

// Whether all that may follow comes from other hosts, which no turn of ours brings nearer.
static bool is_from_elsewhere(const struct conn *c) {
  list_each (node, &c->streams) {
    const struct stream_source *source = container_of(node, struct stream, link)->source;
    if (!source || !source->ops->is_elsewhere) return false;
  }
  return true;
}

// The client has ended its side and has all there is: that is the end, unless a producer is about to go on.
static void end_still(struct conn *c) {
  if (!is_from_elsewhere(c) && ++c->still_turns <= STILL_TURNS_MAX) conn_touch(c);
  else conn_close(c, REASON_CLIENT_CLOSED, false);
}

void conn_give_up(struct carrier *carrier, struct stream *s, enum close_reason reason) {
  struct conn *c = conn_of(carrier);
  if (!c->proto->ops->finish(c->proto, s, ENDING_RESET)) {
    conn_close(c, reason, reason != REASON_CLIENT_CLOSED);
    return;
  }
  stream_free(s, reason);
  go_on(c, true);
}

static void cut_short(struct conn *c, struct stream *s) {
  access_file_short(s);
  conn_give_up(&c->carrier, s, REASON_ERROR);
}

static void settle_stream(struct conn *c, struct stream *s, bool waits) {
  bool is_empty = stream_settle(s, waits);
  if (s->is_short) cut_short(c, s);
  else if (is_empty && s->state == STREAM_ENDED) finish_stream(c, s);
}

// An open stream that has said all it had, as most have after each write.
static bool is_settled(const struct stream *s) {
  return s->state == STREAM_OPEN && !s->queue.count && !(s->blocked | s->full | s->is_short);
}

// `waits`: what is left in the streams waits for the client.
static void conn_settle(struct conn *c, bool waits) {
  list_each (node, &c->streams) {
    struct stream *s = container_of(node, struct stream, link);
    if (is_settled(s)) continue;
    settle_stream(c, s, waits);
    if (c->state != CONN_OPEN) return;
  }
  if (c->has_ended && is_still(c)) end_still(c);
}

// What follows where all that could leave now has.
static void conn_rest(struct conn *c, bool waits) {
  if (c->state == CONN_OPEN) conn_settle(c, waits);
  if (c->state == CONN_OPEN) end_marked(c);
  if (c->state == CONN_OPEN && c->is_over) end_over(c);
  if (c->carrier.service->draining && list_empty(&c->dirty)) conn_close_idle(c);
}

bool conn_flush(struct conn *c) {
  list_remove(&c->dirty);
  if (c->state != CONN_OPEN) return c->state != CONN_CLOSED;
  bool shares = send_ready(c);
  if (shares) conn_touch(c);
  if (!conn_is_queued(c)) conn_rest(c, !shares); // otherwise on_sent does
  return c->state != CONN_CLOSED;
}

// Where all that waited was queued and has left, as most has, there is nothing to ask the protocol for.
void conn_on_sent(struct transport *t, size_t len) {
  struct conn *c = t->owner;
  c->in_flight -= len;
  if (c->state == CONN_LEAVING && !c->in_flight) conn_leave(c); // the protocol may have had no room for it
  if (c->state != CONN_OPEN) return;
  if (len) on_left(c, len);
  if (c->in_flight) {
    c->is_all = false;
    conn_settle(c, true);
  } else if (c->is_all && list_empty(&c->dirty)) conn_rest(c, true);
  else conn_flush(c);
}

void conn_on_bytes(struct transport *t, struct span bytes) {
  struct conn *c = t->owner;
  if (c->state != CONN_OPEN) return;
  advance(c, bytes);
  if (c->state == CONN_OPEN) end_marked(c);
}

// The client has ended its side: whoever has sent a whole request may still want its answer.
void conn_on_end(struct transport *t) {
  struct conn *c = t->owner;
  const struct stream *reading = conn_reading(c);
  bool is_incomplete = reading && reading->state != STREAM_ENDED;
  c->has_ended = true;
  if (c->state == CONN_LEAVING) { // what is said last may still be wanted
    t->ops->want_read(t, 0);
    return;
  }
  if (c->state != CONN_OPEN || is_incomplete || list_empty(&c->streams) || conn_carries_many(c)) {
    conn_close(c, REASON_CLIENT_CLOSED, false);
    return;
  }
  conn_want_read(c);
  conn_touch(c);
}

void conn_close_idle(struct conn *c) {
  if (c->state == CONN_OPENING) conn_expect_first(c);
  if (c->state == CONN_OPEN && conn_carries_many(c)) {
    if (!c->leaving) conn_depart(c);
    return;
  }
  if (c->state != CONN_OPEN || !list_empty(&c->streams) || c->in_flight || !list_empty(&c->dirty)) return;
  if (c->proto->ops->phase(c->proto) != PROTO_IDLE) return;
  if (c->transport->ops->read_now(c->transport) || c->state == CONN_CLOSED) return; // by the client's end
  if (c->requests) conn_close(c, REASON_SHUTDOWN, false);
  else conn_expect_first(c);
}
