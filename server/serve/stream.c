// SPDX-License-Identifier: MIT
// An answer's head and its end. The timer is lazy: it is armed for the earliest thing that could be due and
// looks when it fires.
#include "serve/stream.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "event/sse.h"
#include "serve/access.h"
#include "serve/conn.h"
#include "serve/feed.h"
#include "serve/file_body.h"
#include "serve/stream_queue.h"

enum { FILE_LEAD = 16 << 10 };    // bytes of a file that go out with the head: a small one costs one write
static const double EARLY = 1e-6; // a timer may fire this much before the sum of two times says

const char *close_reason_name(enum close_reason r) {
  static const char *const names[] = {"finished",      "client_closed", "error", "timeout",
                                      "slow_consumer", "shutdown",      "reload"};
  return names[r];
}

// When the time that was set for it is over; until it is an event stream it has all the time.
static double end_of(const struct stream *s) {
  bool is_set = s->lifetime > 0 && s->is_sse && s->state == STREAM_OPEN;
  return is_set ? s->opened_at + (double)s->lifetime : INFINITY;
}

static double next_deadline(const struct stream *s) {
  double at = s->keep_alive > 0 && s->state == STREAM_OPEN ? s->last_sent + (double)s->keep_alive : INFINITY;
  double stall = s->blocked ? s->marked_at + stream_service(s)->settings->timeouts.send : INFINITY;
  return MIN(MIN(at, stall), end_of(s));
}

void stream_watch(struct stream *s) {
  double at = next_deadline(s);
  if (!s->leaving && at < INFINITY && (!timer_is_armed(&s->timer) || at < s->timer.deadline))
    loop_arm(stream_service(s)->loop, &s->timer, at);
}

void stream_give_up(struct stream *s) {
  counter_add(&stream_service(s)->counters.slow_total, 1);
  conn_close(s->conn, REASON_SLOW_CONSUMER, true);
}

void stream_fall_behind(struct stream *s) {
  counter_add(&stream_service(s)->counters.slow_total, 1);
  stream_end(s, REASON_SLOW_CONSUMER, true);
}

static void end_and_tell(struct stream *s, enum close_reason reason, bool cut) {
  stream_end(s, reason, cut);
  if (s->ops) s->ops->on_gone(s, reason);
  s->ops = NULL; // whatever the client still takes: nothing more is asked for
}

static void send_retry(struct stream *s) {
  double factor = 1 + service_random(stream_service(s));
  struct sse_fields retry = SSE_NO_FIELDS;
  retry.retry_ms = (int64_t)(stream_service(s)->settings->shutdown.retry * factor * 1e3);
  stream_send(s, sse_encode(&retry, sse_length(&retry)));
}

// Other bytes than events have an end of their own, which this is not unless all that was announced is there.
static void leave(struct stream *s) {
  bool is_whole = s->framing == FRAMING_LENGTH && !s->length_left;
  if (s->is_sse) send_retry(s);
  end_and_tell(s, s->leave_reason, !s->is_sse && !is_whole);
}

static void send_comment(struct stream *s) {
  s->last_sent = stream_service(s)->loop->now;
  stream_enqueue(s, event_ref(s->comment));
}

static void on_timer(struct timer *t) {
  struct stream *s = container_of(t, struct stream, timer);
  double now = stream_service(s)->loop->now + EARLY;
  if (s->leaving) {
    s->leaving = false;
    if (s->state == STREAM_OPEN) leave(s);
  }
  if (end_of(s) <= now) end_and_tell(s, REASON_TIMEOUT, false);
  if (s->blocked && s->marked_at + stream_service(s)->settings->timeouts.send <= now) {
    stream_give_up(s);
    return;
  }
  if (s->keep_alive > 0 && s->state == STREAM_OPEN && s->last_sent + (double)s->keep_alive <= now) {
    if (!s->queue_count) send_comment(s);
    else s->last_sent = now - EARLY; // blocked: the stall will end it, a comment would only wait too
  }
  stream_watch(s);
}

static void mark_proxied(const struct conn *c, struct request *r) {
  char peer[64];
  const struct trusted *t = &c->service->settings->trusted_proxies;
  if (!t->count && !t->unix_sockets) return;
  size_t len = c->transport->ops->peer(c->transport, peer, sizeof peer);
  r->from_proxy = trusted_has_peer(t, (struct span){peer, len});
}

struct stream *stream_new(struct conn *c, struct request *r) {
  struct stream *s = xmalloc(sizeof *s);
  *s = (struct stream){.conn = c,
                       .request = r,
                       .queue_cap = countof(s->few),
                       .timer = {.on_fire = on_timer},
                       .opened_at = c->service->loop->now};
  s->queue = s->few;
  list_init(&s->dirty);
  mark_proxied(c, r);
  counter_add(&c->service->counters.requests_total, 1);
  return s;
}

void stream_free(struct stream *s, enum close_reason reason) {
  loop_disarm(stream_service(s)->loop, &s->timer);
  list_remove(&s->dirty);
  if (s->is_sse) counter_add(&stream_service(s)->counters.streams_open, -1);
  access_closed(s, reason);
  const struct service_ops *above = s->conn->service->ops;
  if (above->on_end) above->on_end(s, reason);
  if (s->ops) s->ops->on_gone(s, reason);
  feed_free(s->feed);
  file_body_free(s->file);
  stream_drop_queue(s);
  event_unref(s->comment);
  buf_deinit(&s->body);
  request_free(s->request);
  free(s);
}

static bool has_no_body(int status) { return status == 204 || status == 205 || status == 304; }

static void send_head(struct stream *s, struct response *head, struct span body) {
  struct conn *c = s->conn;
  struct buf *out = &c->service->head;
  buf_reset(out, 4096);
  head->minor = s->request->minor;
  head->keep_alive = head->framing != FRAMING_CLOSE && conn_keeps_alive(c, s->request);
  head->date = service_date(c->service);
  s->status = (uint16_t)head->status, s->framing = (uint8_t)head->framing, s->is_reusable = head->keep_alive;
  c->proto->ops->write_head(c->proto, head, out);
  struct event *e = event_new(out->len + body.len);
  memcpy(e->bytes, out->bytes, out->len);
  if (body.len) memcpy(e->bytes + out->len, body.bytes, body.len);
  stream_enqueue(s, e);
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
  if (!s->body_done) conn_body_unwanted(s->conn);
}

// A stream that comes too late to be told to leave with the others leaves at once.
static bool leave_if_late(struct stream *s) {
  const struct service *service = stream_service(s);
  bool is_old = s->generation <= service->left_generation;
  if (is_old) stream_leave(s, 0, REASON_RELOAD);
  else if (service->draining && s->is_sse) stream_leave(s, 0, REASON_SHUTDOWN);
  return s->leaving;
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
  if (!none) conn_stream_opened(s->conn);
  else if (!s->body_done) conn_body_unwanted(s->conn);
  return !none;
}

void stream_open_raw(struct stream *s, int status, const struct field *fields, size_t count, int64_t length) {
  bool is_known = length >= 0;
  struct response head = {.status = status,
                          .content_length = is_known ? (size_t)length : 0,
                          .has_length = is_known && !has_no_body(status),
                          .fields = fields,
                          .field_count = count};
  head.framing = is_known ? FRAMING_LENGTH : s->request->minor ? FRAMING_CHUNKED : FRAMING_CLOSE;
  if (is_known) s->length_left = (uint64_t)length;
  if (open_body(s, &head, false)) leave_if_late(s);
}

void stream_write(struct stream *s, struct span bytes) {
  char *out;
  if (s->state != STREAM_OPEN || !bytes.len) return;
  assert(s->framing != FRAMING_LENGTH || bytes.len <= s->length_left);
  s->length_left -= s->framing == FRAMING_LENGTH ? bytes.len : 0;
  struct event *e = event_new_framed(bytes.len, &out);
  memcpy(out, bytes.bytes, bytes.len);
  s->last_sent = stream_service(s)->loop->now;
  stream_enqueue(s, e);
}

void stream_reply_file(struct stream *s, int status, const struct field *fields, size_t count,
                       struct file_body *body) {
  char *lead = stream_service(s)->scratch;
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
}

void stream_open(struct stream *s, int status, const struct field *fields, size_t count, bool is_sse) {
  struct response head = {.status = status, .fields = fields, .field_count = count};
  head.framing = s->request->minor ? FRAMING_CHUNKED : FRAMING_CLOSE;
  if (!open_body(s, &head, is_sse) || !is_sse) return;
  counter_add(&stream_service(s)->counters.streams_open, 1);
  counter_add(&stream_service(s)->counters.streams_total, 1);
  access_opened(s);
  if (!leave_if_late(s)) stream_watch(s);
}

void stream_keep_alive(struct stream *s, double interval, struct event *comment) {
  event_unref(s->comment);
  s->comment = comment, s->keep_alive = (float)interval;
  stream_watch(s);
}

void stream_end(struct stream *s, enum close_reason reason, bool cut) {
  if (s->state != STREAM_OPEN) return;
  cut |= s->framing == FRAMING_LENGTH && s->length_left; // what was announced will not come
  s->state = STREAM_ENDED, s->reason = (uint8_t)reason, s->cut = cut;
  if (s->framing == FRAMING_CHUNKED && !cut) stream_enqueue(s, event_ref(stream_service(s)->last_chunk));
  stream_touch(s);
}

void stream_continue(struct stream *s) {
  stream_enqueue(s, event_of_bytes(SPAN("HTTP/1.1 100 Continue\r\n\r\n")));
}

void stream_leave(struct stream *s, double after, enum close_reason reason) {
  if (s->state != STREAM_OPEN) return;
  double at = MIN(stream_service(s)->loop->now + after, end_of(s));
  if (s->leaving) at = MIN(at, s->timer.deadline); // who asks again does not put it off
  s->leaving = true, s->leave_reason = (uint8_t)reason;
  loop_arm(stream_service(s)->loop, &s->timer, at);
}

void stream_end_at(struct stream *s, double deadline) {
  float lifetime = (float)MAX(deadline - s->opened_at, 1e-3);
  if (s->lifetime > 0 && s->lifetime <= lifetime) return;
  s->lifetime = lifetime;
  stream_watch(s);
}
