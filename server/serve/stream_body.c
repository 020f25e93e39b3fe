// SPDX-License-Identifier: MIT
// The way in: a request's body, before and while it is read. What nobody has asked for waits in a window;
// then the connection reads no more, so that a body costs as much memory as its reader wants.
#include "serve/conn.h"
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

size_t stream_body_room(const struct stream *s) {
  if (s->state != STREAM_WAITING || s->reading == BODY_WHOLE) return SIZE_MAX; // dropped, or limited
  return s->body.len < BODY_WINDOW ? BODY_WINDOW - s->body.len : 0;
}

bool stream_want_body(struct stream *s, enum body_reading how, uint64_t max) {
  if (s->reading || s->state != STREAM_WAITING || s->request->body == BODY_NONE) return true;
  bool is_large = s->request->content_length > max || s->body.len > max;
  if (is_encoded(s->request)) conn_refuse_body(s->conn, 415, "the body's content coding is not supported");
  else if (is_large || !conn_limit_body(s->conn, max))
    conn_refuse_body(s->conn, 413, "request body too large");
  if (s->state != STREAM_WAITING) return false;
  s->reading = (uint8_t)how;
  if (s->body_done) return true;
  if (s->request->expect_continue && !s->body.len) stream_continue(s);
  conn_body_wanted(s->conn);
  return true;
}

void stream_body_taken(struct stream *s) {
  bool was_full = !stream_body_room(s);
  s->body.len = 0;
  if (s->body_done) buf_deinit(&s->body);
  else if (was_full) conn_body_wanted(s->conn);
}
