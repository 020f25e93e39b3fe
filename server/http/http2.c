// SPDX-License-Identifier: MIT
// What comes is given to the session whole; what it answers by itself, and what streams have, is pulled out
// of it only while the way out is below its mark, so that a client that does not read costs one batch and no
// more. A stream has two lives: nghttp2's, until it is closed there, and the connection's, until all of it
// has left; what is kept of it here goes with the later of the two. Where this side ends the connection, its
// last frame is made by hand, and the session is not asked again: it may have failed in the midst of a frame.
#include "http/http2.h"
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "http/http2_answer.h"
#include "http/http2_events.h"
#include "http/http2_turns.h"
#include "loop/transport.h"

enum {
  BATCH_MAX = 64 << 10, // behind this much, others have their turn
  BATCH_KEPT = 4 << 10, // by an idle connection
  ANSWERS_MAX = 1000,   // beside some for each stream
  SETTINGS_COUNT = 4
};

static struct http2 *http2_of(struct proto *p) { return container_of(p, struct http2, proto); }

// What the session keeps of it; NULL where that is nothing any more.
static struct http2_stream *of_stream(struct proto *p, struct stream *s) { return *p->sink->slot(s); }

// Takes no more than is left of one frame, so that it is judged once those before it have been taken.
static void feed_frame(struct http2 *h, struct span *rest) {
  bool begins;
  const uint8_t *bytes = (const uint8_t *)rest->bytes;
  size_t n = http2_scan(&h->scan, rest->bytes, rest->len, &begins);
  *rest = span_behind(*rest, n);
  if (begins) http2_frame_begins(h);
  if (h->last.len) return;
  ssize_t taken = nghttp2_session_mem_recv(h->session, bytes, n);
  if (taken != (ssize_t)n) http2_failed(h, (int)taken);
  bool is_whole = http2_scan_has_ended(&h->scan) && http2_scan_flags(&h->scan) & NGHTTP2_FLAG_END_HEADERS;
  if (is_whole) h->in_head = false;
}

// The library counts what it says to PING and SETTINGS; what waits to be said of streams that were one too
// many, or that had to end, is looked at here.
static void check_answers(struct http2 *h) {
  size_t waiting = nghttp2_session_get_outbound_queue_size(h->session);
  if (waiting > ANSWERS_MAX + 4 * h->limits->http2.streams)
    http2_flooded(h, FLOOD_ANSWERS, "answers that are not read");
}

static size_t http2_feed(struct proto *p, const char *bytes, size_t len) {
  struct http2 *h = http2_of(p);
  struct span rest = {bytes, len};
  while (rest.len && !h->last.len && !h->is_over) feed_frame(h, &rest), check_answers(h);
  p->sink->on_room(p);
  return len;
}

static enum proto_phase http2_phase(const struct proto *p) {
  const struct http2 *h = container_of(p, const struct http2, proto);
  return h->in_head || !h->is_settled ? PROTO_HEAD : PROTO_IDLE;
}

static bool http2_limit_body(struct proto *p, struct stream *stream, uint64_t max) {
  struct http2_stream *s = of_stream(p, stream);
  if (s) s->body_max = max;
  return !s || s->received <= max;
}

static void http2_answer(struct proto *p, struct stream *stream, struct response *r, struct buf *out) {
  struct http2_stream *s = of_stream(p, stream);
  bool is_empty = r->framing == FRAMING_NONE || (r->framing == FRAMING_LENGTH && !r->content_length);
  (void)out;
  if (s) http2_submit_head(http2_of(p), s, r, !is_empty);
}

static void http2_interim(struct proto *p, struct stream *stream, int status, struct buf *out) {
  struct http2_stream *s = of_stream(p, stream);
  (void)out;
  if (s) http2_submit_interim(http2_of(p), s, status);
  p->sink->on_room(p);
}

static void http2_ready(struct proto *p, struct stream *stream) {
  struct http2 *h = http2_of(p);
  struct http2_stream *s = of_stream(p, stream);
  if (s && s->is_deferred && list_empty(&s->ready)) list_append(&h->ready, &s->ready);
}

static void resume(struct http2 *h) {
  for (struct list *node; (node = list_shift(&h->ready));) {
    struct http2_stream *s = container_of(node, struct http2_stream, ready);
    s->is_deferred = false;
    nghttp2_session_resume_data(h->session, s->id);
  }
}

// Adds frames to the batch; true where there are more of them.
static bool pull(struct http2 *h) {
  const uint8_t *bytes;
  while (h->batch.len < BATCH_MAX) {
    ssize_t n = nghttp2_session_mem_send(h->session, &bytes);
    if (n < 0) http2_failed(h, (int)n);
    if (n <= 0) return false;
    buf_append(&h->batch, bytes, (size_t)n);
  }
  return true;
}

// The same, and then of those whose turn it is behind them.
static bool pull_in_turn(struct http2 *h) {
  while (!pull(h)) {
    if (h->last.len || !http2_turns_pass(h)) return false;
    resume(h);
  }
  return true;
}

static void http2_fill(struct proto *p, struct outq *q) {
  struct http2 *h = http2_of(p);
  if (h->is_over) return;
  h->has_share = h->has_more = false;
  if (!h->last.len) http2_turns_pass(h), resume(h);
  bool has_more = !h->last.len && pull_in_turn(h);
  if (h->last.len) buf_append_span(&h->batch, buf_span(&h->last));
  h->is_over =
      h->last.len || !(nghttp2_session_want_read(h->session) || nghttp2_session_want_write(h->session));
  if (h->is_over) p->sink->on_over(p);
  h->batch_left = h->batch.len;
  if (!h->batch.len) return;
  q->iov[q->count++] = (struct iovec){h->batch.bytes, h->batch.len};
  q->len += h->batch.len;
  q->has_more |= has_more | h->has_more, q->is_share |= has_more | h->has_share;
}

// What the library says by itself, as to PING, is not what streams wait for.
static void count_moved(struct http2 *h, size_t len) {
  h->moved_len += len;
  if ((double)h->moved_len < h->limits->fair_part) return;
  h->moved_len = 0, h->moved_at = h->proto.sink->now(&h->proto);
}

static void http2_on_sent(struct proto *p, size_t len) {
  struct http2 *h = http2_of(p);
  if (!list_empty(&h->batched)) count_moved(h, len);
  h->batch_left -= len;
  if (h->batch_left) return;
  size_t bytes = 0;
  for (struct list *node; (node = list_shift(&h->batched));) {
    struct http2_stream *s = container_of(node, struct http2_stream, batched);
    size_t n = s->in_batch;
    s->in_batch = 0;
    bytes += n;
    if (s->stream) p->sink->on_left(s->stream, n);
    if (s->stream && s->is_deferred && s->has_more && list_empty(&s->ready))
      list_append(&h->ready, &s->ready);
  }
  http2_earn(&h->flow.frames, bytes, h->batch_whole);
  h->batch_whole = 0;
  buf_reset(&h->batch, BATCH_KEPT);
}

static bool http2_finish(struct proto *p, struct stream *stream, enum ending ending) {
  struct http2 *h = http2_of(p);
  struct http2_stream *s = of_stream(p, stream);
  if (!s) return true;
  *p->sink->slot(stream) = NULL;
  s->stream = NULL;
  list_remove(&s->ready);
  http2_leave_unread(h, s);
  if (s->is_closed) http2_stream_free(s);
  else if (ending != ENDING_CLEAN || !s->is_answered)
    nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id,
                              ending == ENDING_RESET ? NGHTTP2_CANCEL : NGHTTP2_INTERNAL_ERROR);
  else if (!s->is_ended) {
    s->is_done = true;
    list_append(&h->ready, &s->ready);
  }
  return true;
}

static bool http2_refuse(struct proto *p, struct response *r, const char *why, struct buf *out) {
  (void)out;
  http2_end(http2_of(p), r->status == 503 ? NGHTTP2_NO_ERROR : NGHTTP2_ENHANCE_YOUR_CALM, why);
  return false;
}

static void http2_body_kept(struct proto *p, struct stream *stream, size_t len) {
  struct http2 *h = http2_of(p);
  struct http2_stream *s = of_stream(p, stream);
  if (!s || len >= s->unread) return;
  http2_note_crowd(h);
  nghttp2_session_consume(h->session, s->id, s->unread - len);
  s->unread = (uint32_t)len;
  p->sink->on_room(p);
}

// First that there will be an end, while requests that are under way are still served; then which was the
// last (RFC 9113 6.8).
static bool http2_go_away(struct proto *p) {
  struct http2 *h = http2_of(p);
  if (h->is_over || h->last.len || h->leaving == 2) return false;
  if (!h->leaving++) nghttp2_submit_shutdown_notice(h->session);
  else
    nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h->session),
                          NGHTTP2_NO_ERROR, NULL, 0);
  p->sink->on_room(p);
  return h->leaving == 1;
}

static int32_t window_of(struct http2 *h, const struct http2_stream *s) {
  return s && s->stream ? nghttp2_session_get_stream_remote_window_size(h->session, s->id) : 0;
}

static double http2_passed_over(struct proto *p, struct stream *stream) {
  struct http2 *h = http2_of(p);
  const struct http2_stream *s = of_stream(p, stream);
  return s && (s->in_batch || window_of(h, s) > 0) ? h->moved_at : 0;
}

static struct proto_wait *http2_wait(struct proto *p, struct stream *stream) {
  struct http2_stream *s = of_stream(p, stream);
  return s ? &s->wait : NULL;
}

// Of those whose own window is closed, which may be many, it is the one that is asked for.
static struct stream *http2_hoarder(struct proto *p, struct stream *stream) {
  struct http2 *h = http2_of(p);
  struct http2_stream *worst = NULL;
  int32_t least = 0;
  if (h->last.len || nghttp2_session_get_remote_window_size(h->session) > 0) return NULL;
  if (window_of(h, of_stream(p, stream)) <= 0) return stream;
  list_each (node, &h->streams) {
    struct http2_stream *s = container_of(node, struct http2_stream, link);
    int32_t window = window_of(h, s);
    if (s->stream && (!worst || window < least)) worst = s, least = window;
  }
  return worst ? worst->stream : NULL;
}

static double http2_crowded_at(struct proto *p) {
  http2_note_crowd(http2_of(p));
  return http2_of(p)->crowded_at;
}

static void http2_free(struct proto *p) {
  struct http2 *h = http2_of(p);
  nghttp2_session_del(h->session);
  list_each (node, &h->streams) http2_stream_free(container_of(node, struct http2_stream, link));
  http2_head_deinit(&h->head);
  buf_deinit(&h->batch);
  buf_deinit(&h->last);
  free(h);
}

static const struct proto_ops http2_ops = {
    .feed = http2_feed,
    .phase = http2_phase,
    .limit_body = http2_limit_body,
    .answer = http2_answer,
    .interim = http2_interim,
    .fill = http2_fill,
    .on_sent = http2_on_sent,
    .finish = http2_finish,
    .refuse = http2_refuse,
    .free = http2_free,
    .ready = http2_ready,
    .body_kept = http2_body_kept,
    .go_away = http2_go_away,
    .hoarder = http2_hoarder,
    .passed_over = http2_passed_over,
    .wait = http2_wait,
    .crowded_at = http2_crowded_at,
};

// Without the old priorities each stream is to say that it takes turns, or one that is always ready would
// have them all; http2_events does.
static void submit_settings(struct http2 *h) {
  const struct proto_limits *limits = h->limits;
  const nghttp2_settings_entry settings[SETTINGS_COUNT] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)limits->http2.streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)limits->http2.window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->head},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};
  nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, SETTINGS_COUNT);
  nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                        (int32_t)limits->http2.connection_window);
}

static nghttp2_option *make_options(void) {
  nghttp2_option *options;
  if (nghttp2_option_new(&options)) abort();
  nghttp2_option_set_no_auto_window_update(options, true);
  nghttp2_option_set_builtin_recv_extension_type(options, NGHTTP2_PRIORITY_UPDATE);
  return options;
}

struct proto *http2_new(const struct proto_sink *sink, const struct proto_limits *limits) {
  struct http2 *h = xmalloc(sizeof *h);
  *h = (struct http2){.proto = {.ops = &http2_ops, .sink = sink}, .limits = limits};
  http2_scan_init(&h->scan, NGHTTP2_CLIENT_MAGIC_LEN);
  list_init(&h->streams);
  list_init(&h->ready);
  list_init(&h->batched);
  list_init(&h->waiting);
  nghttp2_option *options = make_options();
  nghttp2_session_callbacks *callbacks = http2_callbacks();
  if (nghttp2_session_server_new2(&h->session, callbacks, h, options)) abort();
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_option_del(options);
  submit_settings(h);
  return &h->proto;
}

enum preface http2_preface(struct span bytes) {
  struct span preface = {NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN};
  size_t known = MIN(bytes.len, preface.len);
  if (known && memcmp(bytes.bytes, preface.bytes, known) != 0) return PREFACE_NONE;
  return known == preface.len ? PREFACE_WHOLE : PREFACE_PART;
}

const char *http2_library_version(void) { return nghttp2_version(0)->version_str; }
