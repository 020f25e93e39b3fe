// SPDX-License-Identifier: MIT
// The way in: a request's body, before and while it is read. What nobody has asked for waits in a window;
// then the connection reads no more, so that a body costs as much memory as its reader wants.
#include "serve/error_reply.h"
#include "serve/stream.h"

// A coding that nobody here takes off (RFC 9110 8.4).
static bool is_encoded(const struct request *r) {
  for (size_t i = 0; i < r->field_count; i++) {
    struct span codings = r->fields[i].value;
    if (!span_equal(r->fields[i].name, SPAN("content-encoding"))) continue;
    while (codings.len) {
      struct span coding = span_trim(span_split(&codings, ','));
      if (coding.len && !span_equal_nocase(coding, SPAN("identity"))) return true;
    }
  }
  return false;
}

void stream_refuse_body(struct stream *s, struct refusal r) {
  const struct field fields[] = {{SPAN("Content-Type"), SPAN("text/plain; charset=utf-8")},
                                 {SPAN("Accept-Encoding"), SPAN("identity")}}; // RFC 9110 15.5.16
  if (s->state == STREAM_OPEN) {
    s->carrier->ops->give_up(s->carrier, s, REASON_CLIENT_CLOSED);
    return;
  }
  if (s->state == STREAM_ENDED) return; // the answer is under way, and ends the connection
  if (s->ops) s->ops->on_gone(s, r.status == 408 ? REASON_TIMEOUT : REASON_ERROR);
  s->ops = NULL;
  s->request->keep_alive =
      false; // also where the body has come whole: its bytes alone decide, not their pieces
  service_refused(stream_service(s), r.limit);
  if (r.status == 415) stream_reply(s, r.status, fields, 2, span_of(r.why));
  else error_reply(s, r.status, r.why);
}

// Sends the interim 100.
static void stream_continue(struct stream *s) {
  struct buf *out = &stream_service(s)->head;
  buf_reset(out, 4096);
  s->carrier->ops->interim(s->carrier, s, 100, out);
  if (out->len) stream_enqueue(s, event_of_bytes(buf_span(out)));
}

bool stream_want_body(struct stream *s, enum body_reading how, uint64_t max) {
  if (s->reading || s->state != STREAM_WAITING || s->request->body == BODY_NONE) return true;
  bool is_large = s->request->content_length > max || s->body.len > max;
  if (is_encoded(s->request))
    stream_refuse_body(s, REFUSED(415, "the body's content coding is not supported"));
  else if (is_large || !s->carrier->ops->limit_body(s->carrier, s, max)) stream_refuse_body(s, TOO_LARGE);
  if (s->state != STREAM_WAITING) return false;
  s->reading = (uint8_t)how;
  if (s->body_done) return true;
  if (s->request->expect_continue && !s->body.len) stream_continue(s);
  s->carrier->ops->body_asked(s->carrier, s);
  return true;
}

void stream_body_taken(struct stream *s) {
  bool was_full = !stream_body_room(s);
  s->body.len = 0;
  if (s->body_done) buf_deinit(&s->body);
  else if (was_full) s->carrier->ops->body_asked(s->carrier, s);
  else s->carrier->ops->read_on(s->carrier, s);
}

void stream_time_body_from(struct stream *s, double at) {
  s->times_body = true;
  s->body_moved = at, s->body_gained = 0;
  s->body_deadline = at + stream_service(s)->settings->timeouts.body_total;
  stream_watch(s);
}

// A body that is read in pieces may take long as a whole, but not each BODY_WINDOW bytes of it.
void stream_time_body(struct stream *s) {
  if (s->state != STREAM_WAITING || s->body_done) return;
  stream_time_body_from(s, stream_service(s)->loop->now);
}

void stream_body_came(struct stream *s, size_t len) {
  if (s->state != STREAM_WAITING || !s->times_body) return;
  s->body_moved = stream_service(s)->loop->now;
  s->body_gained += s->reading == BODY_IN_PIECES ? (uint32_t)len : 0;
  if (s->body_gained >= BODY_WINDOW) stream_time_body(s);
}
