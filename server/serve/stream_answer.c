// SPDX-License-Identifier: MIT
// How an answer begins: its head, and where it is complete its body behind it.
#include <assert.h>
#include <stdio.h>
#include "base/mem.h"
#include "event/broker.h"
#include "loop/transport.h"
#include "serve/access.h"
#include "serve/file_body.h"
#include "serve/routes.h"
#include "serve/stream.h"

enum { FILE_LEAD = 16 << 10 }; // bytes of a file that go out with the head: a small one costs one write

static bool has_no_body(int status) { return status == 204 || status == 205 || status == 304; }

// How a compressed body begins, in `into`: at once, since some clients call a stream open with its first
// byte.
static struct span gzip_lead(enum framing framing, char into[GZIP_HEAD_LEN + 8]) {
  struct span head = gzip_head();
  if (framing != FRAMING_CHUNKED) return head;
  int len = snprintf(into, GZIP_HEAD_LEN + 8, "%zx\r\n", head.len);
  memcpy(into + len, head.bytes, head.len);
  memcpy(into + len + head.len, "\r\n", 2);
  return (struct span){into, (size_t)len + head.len + 2};
}

static void send_head(struct stream *s, struct response *head, struct span body) {
  struct service *service = stream_service(s);
  struct buf *out = &service->head;
  char lead[GZIP_HEAD_LEN + 8];
  buf_reset(out, 4096);
  head->date = service_date(service);
  s->carrier->ops->answer(s->carrier, s, head, out);
  s->status = (uint16_t)head->status, s->framing = (uint8_t)head->framing;
  routes_count(service, s->request->route, head->status, service->loop->now - s->opened_at);
  if (s->is_gzip && head->framing != FRAMING_NONE) body = gzip_lead(head->framing, lead);
  if (!out->len && !body.len) return;
  struct event *e = event_new(&service->slab, out->len + body.len);
  if (out->len) memcpy(e->bytes, out->bytes, out->len);
  if (body.len) memcpy(e->bytes + out->len, body.bytes, body.len);
  stream_enqueue(s, e);
}

// What still comes of the request's body is dropped.
static void stop_reading(struct stream *s) {
  if (!s->body_done) s->carrier->ops->read_on(s->carrier, s);
}

void stream_reply(struct stream *s, int status, const struct field *fields, size_t count, struct span body) {
  bool bare = has_no_body(status), is_head = s->request->method == METHOD_HEAD;
  struct response head = {.status = status,
                          .framing = bare || is_head ? FRAMING_NONE : FRAMING_LENGTH,
                          .content_length = body.len,
                          .has_length = !bare && (body.bytes || !is_head),
                          .fields = fields,
                          .field_count = count};
  send_head(s, &head, head.framing == FRAMING_NONE ? SPAN("") : body);
  s->state = STREAM_ENDED, s->reason = REASON_FINISHED;
  stop_reading(s);
}

// A stream that comes too late to be told to leave with the others leaves at once.
static bool leave_if_late(struct stream *s) {
  const struct service *service = stream_service(s);
  bool is_old = s->generation <= service->left_generation;
  if (is_old) stream_leave(s, 0, REASON_RELOAD);
  else if (service->draining && s->is_sse) stream_leave(s, 0, REASON_SHUTDOWN);
  return s->leaving;
}

void stream_compress(struct stream *s, bool is_own) {
  struct service *service = stream_service(s);
  service->gzip.total = &service->broker->deflaters;
  s->is_gzip = true;
  s->gzip = xmalloc(sizeof *s->gzip);
  gzip_init(s->gzip, is_own);
}

// Sends the head of a body that is to follow. False where none follows.
static bool open_body(struct stream *s, struct response *head, bool is_sse) {
  bool none = has_no_body(head->status) || s->request->method == METHOD_HEAD;
  if (none) head->framing = FRAMING_NONE;
  s->state = STREAM_OPEN, s->is_sse = is_sse && !none;
  s->last_sent = stream_service(s)->loop->now;
  send_head(s, head, SPAN(""));
  buf_deinit(&s->body);
  if (none) s->state = STREAM_ENDED;
  if (!none) s->carrier->ops->opened(s->carrier, s);
  else stop_reading(s);
  return !none;
}

void stream_open_raw(struct stream *s, int status, const struct field *fields, size_t count, int64_t length) {
  bool is_known = length >= 0;
  struct response head = {.status = status,
                          .content_length = is_known ? (uint64_t)length : 0,
                          .has_length = is_known && !has_no_body(status),
                          .fields = fields,
                          .field_count = count};
  head.framing = is_known ? FRAMING_LENGTH : FRAMING_OPEN;
  if (is_known) s->length_left = (uint64_t)length;
  if (open_body(s, &head, false)) leave_if_late(s);
}

void stream_write(struct stream *s, struct span bytes) {
  char *out;
  if (s->state != STREAM_OPEN || !bytes.len) return;
  assert(s->framing != FRAMING_LENGTH || bytes.len <= s->length_left);
  if (s->framing == FRAMING_LENGTH) s->length_left -= bytes.len;
  struct event *e = event_new_at(&stream_service(s)->slab, bytes.len, &out);
  memcpy(out, bytes.bytes, bytes.len);
  stream_enqueue(s, e);
}

void stream_reply_file(struct stream *s, int status, const struct field *fields, size_t count,
                       struct file_body *body) {
  char *lead = stream_service(s)->loop->scratch;
  bool is_head = s->request->method == METHOD_HEAD;
  struct response head = {.status = status,
                          .framing = is_head ? FRAMING_NONE : FRAMING_LENGTH,
                          .content_length = file_body_left(body),
                          .has_length = true,
                          .fields = fields,
                          .field_count = count};
  ssize_t n = is_head ? 0 : file_body_read(body, lead, FILE_LEAD);
  if (n < 0) { // it has changed since it was opened
    file_body_free(body);
    stream_reply(s, 500, NULL, 0, SPAN(""));
    return;
  }
  send_head(s, &head, (struct span){lead, (size_t)n});
  s->state = STREAM_ENDED, s->reason = REASON_FINISHED;
  if (!is_head && file_body_left(body)) s->file = body;
  else file_body_free(body);
  stop_reading(s);
}

void stream_open(struct stream *s, int status, const struct field *fields, size_t count, bool is_sse) {
  struct response head = {.status = status, .framing = FRAMING_OPEN, .fields = fields, .field_count = count};
  if (!open_body(s, &head, is_sse) || !is_sse) return;
  counter_add(&stream_service(s)->counters.streams_open, 1);
  counter_add(&stream_service(s)->counters.streams_total, 1);
  access_opened(s);
  if (!leave_if_late(s)) stream_watch(s);
}
