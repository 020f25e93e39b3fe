// SPDX-License-Identifier: MIT
// From frames to requests. Nothing of the connection ends here: what comes is noted, and it acts once all of
// it has been read. A client that costs more than it brings is counted frame by frame; what it has done is
// told once, with the last frame that it gets.
#include "http/http2_events.h"
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "http/http2_answer.h"
#include "http/http2_turns.h"

enum { GOAWAY_HEAD_LEN = 9, GOAWAY_FIXED_LEN = 8, HEADS_MAX = 4 }; // times the limit of a head

static void put_u32(struct buf *out, uint32_t n) {
  const char bytes[] = {(char)(n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n};
  buf_append(out, bytes, sizeof bytes);
}

void http2_end(struct http2 *h, uint32_t code, const char *why) {
  size_t why_len = strlen(why);
  if (h->last.len) return;
  buf_append(&h->last, "\0\0", 2);
  buf_append_byte(&h->last, (char)(GOAWAY_FIXED_LEN + why_len)); // reasons are short
  buf_append_byte(&h->last, NGHTTP2_GOAWAY);
  buf_append_byte(&h->last, 0);
  put_u32(&h->last, 0);
  put_u32(&h->last, (uint32_t)nghttp2_session_get_last_proc_stream_id(h->session));
  put_u32(&h->last, code);
  buf_append(&h->last, why, why_len);
}

void http2_flooded(struct http2 *h, enum flood what, const char *why) {
  if (h->last.len) return;
  http2_end(h, NGHTTP2_ENHANCE_YOUR_CALM, why);
  h->proto.sink->on_flood(&h->proto, what, why);
}

// What no client that knows the protocol does.
static void end_wrong(struct http2 *h, uint32_t code) {
  if (h->last.len) return;
  http2_end(h, code, nghttp2_http2_strerror(code));
  h->proto.sink->on_declined(&h->proto, REFUSED(400, nghttp2_http2_strerror(code)));
}

// Continued heads and answers that wait have limits in the library.
void http2_failed(struct http2 *h, int error) {
  if (error == NGHTTP2_ERR_FLOODED) http2_flooded(h, FLOOD_ANSWERS, "answers that are not read");
  else if (h->in_head) http2_flooded(h, FLOOD_HEADS, "a head in too many frames");
  else end_wrong(h, NGHTTP2_PROTOCOL_ERROR);
}

static double now_of(struct http2 *h) { return h->proto.sink->now(&h->proto); }

static void spend_reset(struct http2 *h) {
  if (!http2_spend(&h->flow.resets, 1, h->limits->http2.resets, now_of(h)))
    http2_flooded(h, FLOOD_RESETS, "streams reset too often");
}

static void spend_frame(struct http2 *h) {
  if (!http2_spend(&h->flow.frames, 1, h->limits->http2.frames, now_of(h)))
    http2_flooded(h, FLOOD_FRAMES, "too many frames that bring nothing");
}

static struct http2_stream *stream_of(struct http2 *h, int32_t id) {
  return id ? nghttp2_session_get_stream_user_data(h->session, id) : NULL;
}

void http2_stream_free(struct http2_stream *s) {
  list_remove(&s->link);
  list_remove(&s->ready);
  list_remove(&s->batched);
  free(s);
}

// The client is told of room in halves of the window, so that it may know of less than there is.
void http2_note_crowd(struct http2 *h) {
  bool is_crowded = nghttp2_session_get_local_window_size(h->session) < (int32_t)h->limits->http2.window / 2;
  if (is_crowded) h->crowded_at = now_of(h);
}

void http2_leave_unread(struct http2 *h, struct http2_stream *s) {
  http2_note_crowd(h);
  nghttp2_session_consume(h->session, s->id, s->unread);
  s->unread = 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
  struct http2 *h = user;
  http2_head_begin(&h->head);
  if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  struct http2_stream *s = xmalloc(sizeof *s);
  *s = (struct http2_stream){.id = frame->hd.stream_id, .body_max = UINT64_MAX};
  list_init(&s->ready);
  list_init(&s->batched);
  list_append(&h->streams, &s->link);
  nghttp2_session_set_stream_user_data(session, s->id, s);
  return 0;
}

// A few bytes of a compressed head can stand for any number of fields.
static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user) {
  struct http2 *h = user;
  (void)session, (void)frame, (void)flags;
  http2_head_add(&h->head, (struct span){(const char *)name, name_len},
                 (struct span){(const char *)value, value_len}, h->limits);
  if (h->head.size <= HEADS_MAX * h->limits->head) return 0;
  http2_flooded(h, FLOOD_HEADS, "a head of far too many bytes");
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void end_request(struct http2 *h, struct http2_stream *s) {
  s->client_ended = true;
  if (s->stream) h->proto.sink->on_body_end(s->stream);
}

static void begin_request(struct http2 *h, struct http2_stream *s, bool has_body) {
  struct request *r;
  struct refusal refusal = http2_head_finish(&h->head, has_body, &r);
  http2_turns_set(h, s, http2_turns_first(h, s->id, r ? request_field(r, SPAN("priority")) : SPAN("")));
  if (refusal.status) {
    http2_decline(h, s, refusal);
    spend_reset(h);
    return;
  }
  s->stream = h->proto.sink->on_request(&h->proto, r);
  *h->proto.sink->slot(s->stream) = s;
}

// Fields behind a body are dropped, as those of HTTP/1 are.
static void on_head(struct http2 *h, const nghttp2_frame *frame) {
  struct http2_stream *s = stream_of(h, frame->hd.stream_id);
  bool is_end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
  if (!s) return;
  if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) begin_request(h, s, !is_end);
  if (is_end) end_request(h, s);
}

static void on_data(struct http2 *h, const nghttp2_frame *frame) {
  struct http2_stream *s = stream_of(h, frame->hd.stream_id);
  if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
    if (s) end_request(h, s);
  } else if (frame->hd.length <= frame->data.padlen) spend_frame(h);
}

// Who resets a stream before it has got anything has had us begin for nothing.
static void on_reset(struct http2 *h, const nghttp2_frame *frame) {
  struct http2_stream *s = stream_of(h, frame->hd.stream_id);
  if (s) s->client_ended = true;
  if (s && s->is_answered) spend_frame(h);
  else spend_reset(h);
}

static void on_priority_update(struct http2 *h, const nghttp2_frame *frame) {
  const nghttp2_ext_priority_update *update = frame->ext.payload;
  struct http2_stream *s = stream_of(h, update->stream_id);
  const struct span value = {(const char *)update->field_value, update->field_value_len};
  spend_frame(h);
  if (s) http2_turns_set(h, s, http2_priority(value));
  else http2_turns_expect(h, update->stream_id, value);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
  struct http2 *h = user;
  (void)session;
  if (h->last.len) return 0;
  switch (frame->hd.type) {
  case NGHTTP2_HEADERS: on_head(h, frame); break;
  case NGHTTP2_DATA: on_data(h, frame); break;
  case NGHTTP2_RST_STREAM: on_reset(h, frame); break;
  case NGHTTP2_PRIORITY:
  case NGHTTP2_WINDOW_UPDATE: break; // counted as they began
  case NGHTTP2_PRIORITY_UPDATE: on_priority_update(h, frame); break;
  case NGHTTP2_SETTINGS:
    if (frame->hd.flags & NGHTTP2_FLAG_ACK) h->is_settled = true;
    spend_frame(h);
    break;
  default: spend_frame(h);
  }
  return 0;
}

static bool was_ended(const struct http2 *h, int32_t id) {
  for (size_t i = 0; i < ENDED_KEPT; i++)
    if (h->ended[i] == id) return id != 0;
  return false;
}

// The library passes over frames of kinds that nobody knows, priorities of the old kind, windows that
// overflow, and what comes for streams that are no more, of which the client may not have heard; not so where
// it has ended them itself (RFC 9113 5.1).
void http2_frame_begins(struct http2 *h) {
  uint8_t type = http2_scan_type(&h->scan);
  int32_t id = http2_scan_stream(&h->scan);
  bool carries = type == NGHTTP2_DATA || type == NGHTTP2_HEADERS;
  bool is_unheard = type > NGHTTP2_CONTINUATION && type != NGHTTP2_PRIORITY_UPDATE;
  h->in_head = type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION;
  if (is_unheard || type == NGHTTP2_PRIORITY || type == NGHTTP2_WINDOW_UPDATE) spend_frame(h);
  if (type == NGHTTP2_PRIORITY && (!id || http2_scan_is_circle(&h->scan)))
    end_wrong(h, NGHTTP2_PROTOCOL_ERROR);
  if (carries && !stream_of(h, id) && was_ended(h, id)) end_wrong(h, NGHTTP2_STREAM_CLOSED);
}

static int on_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t len,
                    void *user) {
  struct http2 *h = user;
  struct http2_stream *s = stream_of(h, id);
  (void)flags;
  if (!s || !s->stream || h->last.len) {
    nghttp2_session_consume(session, id, len);
    return 0;
  }
  s->received += len, s->unread += (uint32_t)len;
  if (s->received <= s->body_max) h->proto.sink->on_body(s->stream, (struct span){(const char *)bytes, len});
  else h->proto.sink->on_too_large(s->stream);
  return 0;
}

// The connection is told of what it still has; what was whole it ends by itself once all has left.
static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user) {
  struct http2 *h = user;
  struct http2_stream *s = stream_of(h, id);
  (void)session, (void)code;
  if (!s) return 0;
  s->is_closed = true;
  http2_leave_unread(h, s);
  if (s->client_ended) h->ended[h->ended_at++ % ENDED_KEPT] = id;
  list_remove(&s->ready);
  if (s->stream && !s->is_ended) {
    *h->proto.sink->slot(s->stream) = NULL;
    h->proto.sink->on_reset(s->stream);
    s->stream = NULL;
  }
  if (!s->stream) http2_stream_free(s);
  return 0;
}

// An answer that is over ends the request too, of which more may be to come (RFC 9113 8.1). What the client
// has us reset is counted as what it resets, and what the library ends it for is told.
static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
  struct http2 *h = user;
  uint32_t code = frame->hd.type == NGHTTP2_RST_STREAM ? frame->rst_stream.error_code : NGHTTP2_NO_ERROR;
  bool is_ours = code == NGHTTP2_NO_ERROR || code == NGHTTP2_CANCEL || code == NGHTTP2_INTERNAL_ERROR;
  bool can_end = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
  if (can_end && frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
    const struct http2_stream *s = stream_of(h, frame->hd.stream_id);
    if (s && !s->client_ended) nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
  } else if (!is_ours) spend_reset(h);
  else if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
    h->proto.sink->on_declined(&h->proto, REFUSED(400, nghttp2_http2_strerror(frame->goaway.error_code)));
  return 0;
}

nghttp2_session_callbacks *http2_callbacks(void) {
  nghttp2_session_callbacks *c;
  if (nghttp2_session_callbacks_new(&c)) abort();
  nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(c, on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_chunk);
  nghttp2_session_callbacks_set_on_stream_close_callback(c, on_close);
  nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_sent);
  return c;
}
