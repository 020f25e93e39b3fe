// SPDX-License-Identifier: MIT
// How a connection begins, and what it does for its streams and for its clock.
#include <math.h>
#include "base/mem.h"
#include "http/http1.h"
#include "http/http2.h"
#include "loop/transport_tls.h"
#include "serve/conn_parts.h"

static const double EARLY = 1e-6; // a timer may fire this much before the sum of two times says

static void on_open(struct transport *t) {
  struct conn *c = t->owner;
  struct service *s = c->carrier.service;
  c->state = CONN_OPEN;
  c->proto = s->ops->new_proto ? s->ops->new_proto(t, &conn_proto_sink, &s->limits) : NULL;
  if (t->protocol == PROTOCOL_HTTP2) conn_speak_http2(c);
  if (!c->proto) c->proto = http1_new(&conn_proto_sink, &s->limits);
  c->proto->owner = c;
  if (t->is_secure) conn_set_deadline(c, s->loop->now + s->settings->timeouts.head);
  t->ops->want_read(t, LOOP_SCRATCH_LEN);
}

static const struct transport_sink transport_sink = {.on_open = on_open,
                                                     .on_bytes = conn_on_bytes,
                                                     .on_sent = conn_on_sent,
                                                     .on_end = conn_on_end,
                                                     .on_error = conn_on_error};

static void carrier_touch(struct carrier *carrier, struct stream *s) {
  struct conn *c = conn_of(carrier);
  if (conn_carries_many(c)) c->proto->ops->ready(c->proto, s);
  if (!s->blocked) conn_touch(c);
}

// What is written may tell of the end of some of its streams, or of all.
static bool carrier_flush(struct carrier *carrier, const struct stream *s) {
  struct conn *c = conn_of(carrier);
  if (!conn_flush(c)) return false;
  list_each (node, &c->streams)
    if (node == &s->link) return true;
  return false;
}

static void carrier_answer(struct carrier *carrier, struct stream *s, struct response *r, struct buf *out) {
  struct conn *c = conn_of(carrier);
  r->keep_alive = s->request->keep_alive && s->body_done && conn_can_carry_more(c);
  c->proto->ops->answer(c->proto, s, r, out);
  conn_touch(c); // the protocol may have kept the head for itself
}

static void carrier_interim(struct carrier *c, struct stream *s, int status, struct buf *out) {
  struct proto *p = conn_of(c)->proto;
  p->ops->interim(p, s, status, out);
}

static void carrier_opened(struct carrier *carrier, struct stream *s) {
  struct conn *c = conn_of(carrier);
  if ((s->is_sse || s->is_live) && !conn_carries_many(c))
    c->transport->ops->bound(c->transport, carrier->service->settings->limits.send_buffer);
  if (conn_has_event_stream(c)) buf_consume(&c->in, c->in.len - conn_skip_line_ends(buf_span(&c->in)).len);
  if (!c->in.len) buf_deinit(&c->in);
  conn_want_read(c);
}

static void carrier_read_on(struct carrier *c, struct stream *s) {
  conn_tell_kept(conn_of(c), s);
  conn_want_read(conn_of(c));
}

static void carrier_body_asked(struct carrier *carrier, struct stream *s) {
  struct conn *c = conn_of(carrier);
  conn_tell_kept(c, s);
  if (conn_carries_many(c)) stream_time_body(s);
  conn_allow_body_time(c);
  conn_watch(c);
  conn_want_read(c);
}

static bool carrier_limit_body(struct carrier *c, struct stream *s, uint64_t max) {
  struct proto *p = conn_of(c)->proto;
  return p->ops->limit_body(p, s, max);
}

// Protocols but HTTP/1 put all into frames of their own.
static bool carrier_takes_files(struct carrier *c) {
  const struct transport *t = conn_of(c)->transport;
  return t->takes_files && t->protocol == PROTOCOL_HTTP1;
}

static bool carrier_describe_tls(struct carrier *c, struct buf *out) {
  return transport_tls_describe(conn_of(c)->transport, out);
}

static double carrier_waits_since(struct carrier *carrier, struct stream *s) {
  struct conn *c = conn_of(carrier);
  const struct proto_wait *w = conn_carries_many(c) ? c->proto->ops->wait(c->proto, s) : NULL;
  bool is_put_off = w && !(w->mark < s->marked_at) && !(w->mark > s->marked_at);
  return is_put_off ? w->since : s->marked_at;
}

// Its time has begun anew, but it has waited for longer.
static void note_wait(struct conn *c, struct stream *s, double since) {
  struct proto_wait *w = c->proto->ops->wait(c->proto, s);
  if (w) *w = (struct proto_wait){since, s->marked_at};
}

static void spare_all(struct conn *c) {
  list_each (node, &c->streams) {
    struct stream *s = container_of(node, struct stream, link);
    if (!s->blocked) continue;
    double since = carrier_waits_since(&c->carrier, s);
    stream_spare(s);
    note_wait(c, s, since);
  }
}

// Streams that their client does not read can use up the window of the whole connection, which stops all of
// it: the worst of them goes, the others have their time anew.
static struct stream *carrier_hoarder(struct carrier *carrier, struct stream *s) {
  struct conn *c = conn_of(carrier);
  if (!conn_carries_many(c)) return s;
  double moved_at = c->proto->ops->passed_over(c->proto, s);
  if (moved_at > s->marked_at) {
    double since = carrier_waits_since(carrier, s);
    s->marked_at = moved_at;
    note_wait(c, s, since);
    return NULL;
  }
  struct stream *worst = c->proto->ops->hoarder(c->proto, s);
  if (!worst) return s;
  spare_all(c);
  return worst;
}

// Whose client could not send, as bodies of others take all the room, has its time from then on.
static void carrier_late(struct carrier *carrier, struct stream *s) {
  struct conn *c = conn_of(carrier);
  if (conn_carries_many(c) && c->proto->ops->crowded_at(c->proto) > s->body_moved)
    stream_time_body_from(s, c->proto->ops->crowded_at(c->proto));
  else stream_refuse_body(s, REFUSED_BY(LIMIT_TIMEOUT, 408, "the request took too long to arrive"));
}

static const struct carrier_ops carrier_ops = {.hoarder = carrier_hoarder,
                                               .waits_since = carrier_waits_since,
                                               .late = carrier_late,
                                               .describe_tls = carrier_describe_tls,
                                               .touch = carrier_touch,
                                               .flush = carrier_flush,
                                               .answer = carrier_answer,
                                               .interim = carrier_interim,
                                               .opened = carrier_opened,
                                               .read_on = carrier_read_on,
                                               .body_asked = carrier_body_asked,
                                               .limit_body = carrier_limit_body,
                                               .takes_files = carrier_takes_files,
                                               .give_up = conn_give_up};

static void on_deadline(struct conn *c) {
  if (c->state == CONN_OPEN && conn_carries_many(c) && c->leaving) {
    if (c->leaving == 1) conn_depart(c);
    else if (list_empty(&c->streams)) conn_close(c, REASON_TIMEOUT, false);
    return;
  }
  struct stream *s = conn_reading(c);
  bool late_head = c->state == CONN_OPEN && c->proto->ops->phase(c->proto) == PROTO_HEAD;
  bool late_body = s && stream_body_is_due(s) && s->state == STREAM_WAITING;
  if (late_head || late_body)
    conn_refuse_request(c, REFUSED_BY(LIMIT_TIMEOUT, 408, "the request took too long to arrive"));
  else if (c->state == CONN_OPEN && conn_carries_many(c) && list_empty(&c->streams)) conn_depart(c);
  else if (list_empty(&c->streams)) conn_close(c, REASON_TIMEOUT, false);
}

static void on_timer(struct timer *t) {
  struct conn *c = container_of(t, struct conn, timer);
  double now = c->carrier.service->loop->now;
  if (c->deadline <= now + EARLY) on_deadline(c);
  else if (c->deadline < INFINITY) loop_arm(c->carrier.service->loop, &c->timer, c->deadline);
}

struct conn *conn_open(struct service *s, struct transport *t, enum admission_stay stay,
                       struct admission_address *admission_address) {
  struct conn *c = xmalloc(sizeof *c);
  *c = (struct conn){.carrier = {.ops = &carrier_ops, .service = s, .peer = &t->peer},
                     .transport = t,
                     .stay = (uint8_t)stay,
                     .admission_address = admission_address,
                     .timer = {.on_fire = on_timer}};
  t->sink = &transport_sink, t->owner = c;
  list_init(&c->link);
  list_init(&c->dirty);
  list_init(&c->streams);
  list_append(&s->conns, &c->link);
  counter_add(&s->counters.connections_open, 1);
  counter_add(&s->counters.connections_total, 1);
  const struct settings *set = s->settings;
  conn_set_deadline(c, s->loop->now + (t->is_secure ? set->timeouts.handshake : set->timeouts.head));
  t->ops->open(t);
  return c;
}
