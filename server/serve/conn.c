// SPDX-License-Identifier: MIT
// A connection reads, lets its protocol find a request, hands that up and waits; when the answer is written
// it goes on with what has come meanwhile. It reads on under an open event stream, since only a read tells
// that the client has left. What a client says meanwhile is its next request, and waits; past limits.head it
// is not read on. A client that ends its side may have left, or want the rest all the same (a half-close),
// which looks alike: it gets what is ready, and its stream ends where it would wait for anything but the
// client. Nothing is freed while the protocol runs: its callbacks take note, `advance` acts.
#include "serve/conn.h"
#include <math.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"
#include "http/http1.h"
#include "serve/access.h"
#include "serve/error_reply.h"

static const double LINGER_SECONDS = 2;
enum { STILL_TURNS_MAX = 16 }; // in which one task may wake another that sends, and so on

static void on_request(struct proto *p, struct request *r) {
  struct conn *c = p->owner;
  c->stream = stream_new(c, r);
  c->requests++, c->body_gained = 0;
}

// A body that is read in pieces may take long as a whole, but not each BODY_WINDOW bytes of it.
static void allow_body_time(struct conn *c) {
  c->body_deadline = c->service->loop->now + c->service->settings->timeouts.body_total;
  c->body_gained = 0;
}

static void on_body(struct proto *p, const char *bytes, size_t len) {
  struct conn *c = p->owner;
  struct stream *s = c->stream;
  if (s->state != STREAM_WAITING) return;
  buf_append(&s->body, bytes, len);
  if (s->reading != BODY_IN_PIECES) return;
  c->body_gained += (uint32_t)len;
  if (c->body_gained >= BODY_WINDOW) allow_body_time(c);
  if (s->ops) s->ops->on_body(s);
}

static void on_body_end(struct proto *p) {
  struct stream *s = ((struct conn *)p->owner)->stream;
  s->body_done = true;
  if (s->ops) s->ops->on_body(s);
}

static void on_refused(struct proto *p, int status, const char *why) {
  struct conn *c = p->owner;
  c->refused = (uint16_t)status, c->refusal = why;
}

static const struct proto_sink proto_sink = {
    .on_request = on_request, .on_body = on_body, .on_body_end = on_body_end, .on_refused = on_refused};

static void set_deadline(struct conn *c, double at) {
  c->deadline = at;
  if (at < INFINITY && (!timer_is_armed(&c->timer) || at < c->timer.deadline))
    loop_arm(c->service->loop, &c->timer, at);
}

// A client that waits to be asked for its body, or for room, is not late.
static bool is_body_due(const struct stream *s) {
  bool is_asked_for = !s->request->expect_continue || s->reading || s->body.len;
  return !s->body_done && is_asked_for && stream_body_room(s);
}

// Bytes may have moved the protocol on. A head has its time from its first byte, however many follow; a body
// has some between any two reads and some in all.
static void watch(struct conn *c) {
  double now = c->service->loop->now;
  const struct settings *set = c->service->settings;
  enum proto_phase phase = c->proto->ops->phase(c->proto);
  bool same = phase == c->phase;
  c->phase = (uint8_t)phase;
  if (phase == PROTO_BODY) {
    if (!same) allow_body_time(c);
    bool waits = !c->stream || is_body_due(c->stream);
    set_deadline(c, waits ? MIN(now + set->timeouts.body, c->body_deadline) : INFINITY);
  } else if (!same) set_deadline(c, now + (phase == PROTO_HEAD ? set->timeouts.head : set->timeouts.idle));
}

// How many bytes may be read now: of a body as many as are wanted, behind it some of what is pipelined.
static size_t read_room(const struct conn *c) {
  if (!c->stream) return SCRATCH_LEN;
  if (!c->stream->body_done) return MIN(stream_body_room(c->stream), SCRATCH_LEN);
  return c->in.len < c->service->settings->limits.head ? SCRATCH_LEN : 0;
}

void conn_want_write(struct conn *c, bool wanted) {
  c->transport->ops->want(c->transport, !c->has_ended && read_room(c), wanted);
}

static void want_read(struct conn *c) { conn_want_write(c, c->stream && c->stream->blocked); }

void conn_body_wanted(struct conn *c) {
  allow_body_time(c);
  watch(c);
  want_read(c);
}

void conn_body_unwanted(struct conn *c) { want_read(c); }

bool conn_limit_body(struct conn *c, uint64_t max) { return c->proto->ops->limit_body(c->proto, max); }

ssize_t conn_writev(struct conn *c, const struct iovec *iov, int n) {
  return c->transport->ops->writev(c->transport, iov, n);
}

ssize_t conn_sendfile(struct conn *c, int fd, uint64_t offset, size_t len) {
  return c->transport->ops->sendfile(c->transport, fd, (off_t)offset, len);
}

bool conn_keeps_alive(const struct conn *c, const struct request *r) {
  bool more_to_come = (!c->has_ended || c->in.len) && c->requests < c->service->settings->limits.requests;
  return r->keep_alive && !c->service->draining && more_to_come && c->stream->body_done;
}

void conn_close(struct conn *c, enum close_reason reason, bool reset) {
  if (c->stream) stream_free(c->stream, reason);
  list_remove(&c->link);
  loop_disarm(c->service->loop, &c->timer);
  counter_add(&c->service->counters.connections_open, -1);
  c->proto->ops->free(c->proto);
  c->transport->ops->close(c->transport, reset);
  gate_leave(&c->service->process->gate, &c->pass);
  buf_deinit(&c->in);
  free(c);
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
  c->transport->ops->shutdown(c->transport);
  c->transport->ops->want(c->transport, true, false);
  set_deadline(c, c->service->loop->now + LINGER_SECONDS);
}

// Answers bytes that are no request. What does not fit into the socket at once is not worth waiting for.
static void refuse(struct conn *c, int status, const char *why) {
  counter_add(&c->service->counters.refused_total, 1);
  access_refused(c, status, why);
  if (error_refuse(c, status, why)) linger(c);
  else conn_close(c, REASON_ERROR, false);
}

// What has come already is read first: a close with unread bytes would reset the connection.
void conn_turn_away(struct conn *c, const char *why, bool may_linger) {
  bool is_told = error_refuse(c, 503, why);
  if (is_told && may_linger) {
    linger(c);
    return;
  }
  c->transport->ops->read(c->transport, c->service->scratch, SCRATCH_LEN);
  c->transport->ops->shutdown(c->transport);
  conn_close(c, REASON_ERROR, false);
}

void conn_refuse_body(struct conn *c, int status, const char *why) {
  struct stream *s = c->stream;
  const struct field fields[] = {{SPAN("Content-Type"), SPAN("text/plain; charset=utf-8")},
                                 {SPAN("Accept-Encoding"), SPAN("identity")}}; // RFC 9110 15.5.16
  if (s->state == STREAM_OPEN) {
    conn_close(c, REASON_CLIENT_CLOSED, false);
    return;
  }
  if (s->state == STREAM_ENDED) return; // the answer is under way, and ends the connection
  if (s->ops) s->ops->on_gone(s, status == 408 ? REASON_TIMEOUT : REASON_ERROR);
  s->ops = NULL;
  s->request->keep_alive =
      false; // also where the body has come whole: its bytes alone decide, not their pieces
  counter_add(&c->service->counters.refused_total, 1);
  if (status == 415) stream_reply(s, status, fields, 2, span_of(why));
  else error_reply(s, status, why);
}

static void refuse_pending(struct conn *c) {
  int status = c->refused;
  c->refused = 0;
  if (c->stream) conn_refuse_body(c, status, c->refusal);
  else refuse(c, status, c->refusal);
}

// Lets the protocol take what it can; true where it is to be asked again.
static bool feed(struct conn *c, struct span *bytes) {
  size_t taken = c->proto->ops->feed(c->proto, bytes->bytes, bytes->len);
  bytes->bytes += taken, bytes->len -= taken;
  if (c->refused) return false;
  if (c->stream && !c->is_announced) {
    c->is_announced = true;
    c->service->ops->on_request(c->service, c->stream);
  }
  return taken && bytes->len && !(c->stream && c->stream->body_done);
}

// Line ends in front of what a client says under an event stream are no part of a request, however many.
static struct span skip_line_ends(struct span bytes) {
  while (bytes.len && (bytes.bytes[0] == '\r' || bytes.bytes[0] == '\n')) bytes.bytes++, bytes.len--;
  return bytes;
}

static bool has_event_stream(const struct conn *c) {
  return c->stream && c->stream->is_sse && c->stream->body_done;
}

void conn_stream_opened(struct conn *c) {
  if (c->stream->is_sse) c->transport->ops->bound(c->transport, c->service->settings->limits.send_buffer);
  if (has_event_stream(c)) buf_consume(&c->in, c->in.len - skip_line_ends(buf_span(&c->in)).len);
  if (!c->in.len) buf_deinit(&c->in);
  want_read(c);
}

bool conn_stream_is_still(struct conn *c) {
  if (!c->has_ended) return true;
  if (++c->still_turns <= STILL_TURNS_MAX) {
    stream_touch(c->stream);
    return true;
  }
  conn_close(c, REASON_CLIENT_CLOSED, false);
  return false;
}

// Works on `bytes`, which follow what c->in held before and are not in it; keeps what is left over. May free
// the connection: the last thing its caller does.
static void advance(struct conn *c, struct span bytes) {
  if (c->in.len) {
    buf_append_span(&c->in, bytes);
    bytes = buf_span(&c->in);
  } else if (has_event_stream(c)) bytes = skip_line_ends(bytes);
  if (!(c->stream && c->stream->body_done))
    while (feed(c, &bytes)) continue;
  if (c->in.len) buf_consume(&c->in, c->in.len - bytes.len);
  else buf_append_span(&c->in, bytes);
  if (!c->in.len) buf_deinit(&c->in);
  if (c->refused) {
    refuse_pending(c);
    return;
  }
  if (c->has_ended && !(c->stream && c->stream->body_done)) { // the rest will not come
    conn_close(c, REASON_CLIENT_CLOSED, false);
    return;
  }
  watch(c);
  want_read(c);
}

void conn_stream_done(struct conn *c) {
  struct stream *s = c->stream;
  bool again = s->is_reusable && conn_keeps_alive(c, s->request);
  bool reset = s->cut && s->framing == FRAMING_CLOSE, cut = s->cut;
  c->stream = NULL;
  stream_free(s, s->reason);
  if (cut) {
    conn_close(c, REASON_ERROR, reset);
    return;
  }
  if (!again) {
    linger(c);
    return;
  }
  c->is_announced = false;
  c->proto->ops->next(c->proto);
  advance(c, SPAN(""));
}

// The client has ended its side: whoever has sent a whole request may still want its answer.
static void on_end(struct conn *c) {
  struct stream *s = c->stream;
  c->has_ended = true;
  if (!s || !(s->body_done || s->state == STREAM_ENDED)) {
    conn_close(c, REASON_CLIENT_CLOSED, false);
    return;
  }
  want_read(c);
  if (s->state == STREAM_OPEN) stream_touch(s);
}

static void on_readable(struct transport *t) {
  struct conn *c = t->owner;
  ssize_t n = t->ops->read(t, c->service->scratch, MAX(read_room(c), 1));
  if (n == IO_AGAIN) return;
  if (n == IO_ERROR) conn_close(c, REASON_CLIENT_CLOSED, false);
  else if (n == IO_EOF) on_end(c);
  else if (c->state == CONN_OPEN) advance(c, (struct span){c->service->scratch, (size_t)n});
}

void conn_close_idle(struct conn *c) {
  if (c->state != CONN_OPEN || c->stream || c->proto->ops->phase(c->proto) != PROTO_IDLE) return;
  ssize_t n = c->transport->ops->read(c->transport, c->service->scratch, SCRATCH_LEN);
  if (n > 0) advance(c, (struct span){c->service->scratch, (size_t)n});
  else conn_close(c, REASON_SHUTDOWN, false);
}

static void on_writable(struct transport *t) {
  struct conn *c = t->owner;
  if (c->stream) stream_flush(c->stream);
  else want_read(c);
}

static const struct transport_sink transport_sink = {.on_readable = on_readable, .on_writable = on_writable};

static void on_deadline(struct conn *c) {
  struct stream *s = c->stream;
  bool late_head = c->state == CONN_OPEN && c->proto->ops->phase(c->proto) == PROTO_HEAD;
  bool late_body = s && is_body_due(s) && s->state == STREAM_WAITING;
  if (late_head || late_body) {
    c->refused = 408, c->refusal = "the request took too long to arrive";
    refuse_pending(c);
  } else if (!s) conn_close(c, REASON_TIMEOUT, false);
}

static void on_timer(struct timer *t) {
  struct conn *c = container_of(t, struct conn, timer);
  if (c->deadline > c->service->loop->now + 1e-6) {
    if (c->deadline < INFINITY) loop_arm(c->service->loop, &c->timer, c->deadline);
  } else on_deadline(c);
}

struct conn *conn_open(struct service *s, struct transport *t, struct gate_pass pass) {
  struct conn *c = xmalloc(sizeof *c);
  *c = (struct conn){.service = s, .transport = t, .pass = pass, .timer = {.on_fire = on_timer}};
  t->sink = &transport_sink, t->owner = c;
  c->proto = http1_new(&proto_sink, &s->limits);
  c->proto->owner = c;
  list_init(&c->link);
  list_append(&s->conns, &c->link);
  counter_add(&s->counters.connections_open, 1);
  counter_add(&s->counters.connections_total, 1);
  set_deadline(c, s->loop->now + s->settings->timeouts.head);
  t->ops->want(t, true, false);
  return c;
}
