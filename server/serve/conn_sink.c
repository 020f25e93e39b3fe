// SPDX-License-Identifier: MIT
// What a protocol says while it takes bytes in. It is only noted, in the stream or the connection: both act
// once all has been read.
#include "serve/access.h"
#include "serve/conn_parts.h"

void conn_touch(struct conn *c) {
  if (list_empty(&c->dirty)) list_append(&c->carrier.service->dirty, &c->dirty);
}

// A body that is read in pieces may take long as a whole, but not each BODY_WINDOW bytes of it.
void conn_allow_body_time(struct conn *c) {
  c->body_deadline = c->carrier.service->loop->now + c->carrier.service->settings->timeouts.body_total;
  c->body_gained = 0;
}

static struct stream *on_request(struct proto *p, struct request *r) {
  struct conn *c = p->owner;
  r->is_secure = c->transport->is_secure;
  struct stream *s = stream_new(&c->carrier, r);
  list_append(&c->streams, &s->link);
  c->requests++;
  if (conn_carries_many(c)) stream_time_body(s);
  else conn_allow_body_time(c);
  return s;
}

// The client may send so much more of the body as its reader has taken, or as nobody will read.
void conn_tell_kept(struct conn *c, struct stream *s) {
  bool is_kept = s->state == STREAM_WAITING && s->reading != BODY_WHOLE;
  if (conn_carries_many(c)) c->proto->ops->body_kept(c->proto, s, is_kept ? s->body.len : 0);
}

static void on_body(struct stream *s, struct span bytes) {
  struct conn *c = conn_of(s->carrier);
  if (s->state == STREAM_WAITING) buf_append_span(&s->body, bytes);
  conn_tell_kept(c, s);
  stream_body_came(s, bytes.len);
  if (s->state != STREAM_WAITING || s->reading != BODY_IN_PIECES) return;
  c->body_gained += (uint32_t)bytes.len;
  if (c->body_gained >= BODY_WINDOW) conn_allow_body_time(c);
  if (s->ops) s->ops->on_body(s);
}

static void on_body_end(struct stream *s) {
  s->body_done = true;
  if (s->ops) s->ops->on_body(s);
}

static void on_refused(struct proto *p, struct refusal r) {
  struct conn *c = p->owner;
  c->carrier.service->refusal = r;
}

static void mark(struct stream *s) {
  struct conn *c = conn_of(s->carrier);
  c->has_marked = true;
  conn_touch(c);
}

static void on_reset(struct stream *s) {
  s->is_reset = true;
  mark(s);
}

static void on_too_large(struct stream *s) {
  s->is_too_large = true;
  mark(s);
}

static void on_declined(struct proto *p, struct refusal r) {
  struct conn *c = p->owner;
  service_refused(c->carrier.service, r.limit);
  access_refused(&c->carrier, r.status, r.why);
}

static void on_flood(struct proto *p, enum flood what, const char *why) {
  static const char *const settings[FLOOD_KINDS] = {
      [FLOOD_RESETS] = "http2.resets", [FLOOD_FRAMES] = "http2.frames"};
  struct conn *c = p->owner;
  counter_add(&c->carrier.service->counters.floods_total[what], 1);
  access_flooded(&c->carrier, why, settings[what]);
}

static void on_over(struct proto *p) { ((struct conn *)p->owner)->is_over = true; }

static void **slot(struct stream *s) { return &s->request->exchange; }

static double now_of(struct proto *p) {
  const struct conn *c = p->owner;
  return c->carrier.service->loop->now;
}

static void on_room(struct proto *p) { conn_touch(p->owner); }

const struct proto_sink conn_proto_sink = {.on_request = on_request,
                                           .on_body = on_body,
                                           .on_body_end = on_body_end,
                                           .on_refused = on_refused,
                                           .on_reset = on_reset,
                                           .on_room = on_room,
                                           .on_too_large = on_too_large,
                                           .on_declined = on_declined,
                                           .on_flood = on_flood,
                                           .slot = slot,
                                           .now = now_of,
                                           .on_over = on_over,
                                           .take = stream_take,
                                           .on_left = stream_left};
