// SPDX-License-Identifier: MIT
// What it takes of streams is copied into a batch of frames, and counts as left once that batch has. Streams
// have their turns one after the other, a frame each.
#include "harness/mux.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "http/head_guard.h"
#include "http/head.h"
#include "loop/transport.h"

enum { STREAMS_MAX = 16, FRAME_MAX = 1000, LINE_MAX_LEN = 1000 };

struct mux_stream {
  struct stream *stream; // NULL: it is free, or has finished
  unsigned id;
  size_t window, in_batch;
};

struct mux {
  struct proto proto;
  const struct proto_limits *limits;
  struct buf control; // frames that no window holds back
  struct buf batch;   // on its way
  size_t batch_left;
  struct mux_stream streams[STREAMS_MAX];
};

static struct mux *mux_of(struct proto *p) { return container_of(p, struct mux, proto); }

static struct mux_stream *mux_find(struct mux *m, unsigned id) {
  for (int i = 0; i < STREAMS_MAX; i++)
    if (m->streams[i].stream && m->streams[i].id == id) return &m->streams[i];
  return NULL;
}

static struct mux_stream *mux_stream_of(struct mux *m, const struct stream *s) {
  for (int i = 0; i < STREAMS_MAX; i++)
    if (m->streams[i].stream == s) return &m->streams[i];
  return NULL;
}

static struct request *make_request(struct mux *m, const char *path) {
  struct buf text = {0};
  struct head_guard guard = {0};
  struct request *r = NULL;
  buf_printf(&text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
  head_guard_scan(&guard, text.bytes, text.len, m->limits);
  if (guard.state == GUARD_DONE) head_parse(buf_span(&text), guard.fields, &r);
  buf_deinit(&text);
  return r;
}

static void open_stream(struct mux *m, unsigned id, const char *path) {
  struct mux_stream *free_one = NULL;
  for (int i = 0; i < STREAMS_MAX && !free_one; i++)
    if (!m->streams[i].stream) free_one = &m->streams[i];
  struct request *r = free_one && !mux_find(m, id) ? make_request(m, path) : NULL;
  if (!r) {
    m->proto.sink->on_refused(&m->proto, REFUSED(400, "no such stream"));
    return;
  }
  *free_one = (struct mux_stream){.id = id, .window = SIZE_MAX};
  free_one->stream = m->proto.sink->on_request(&m->proto, r);
  m->proto.sink->on_body_end(free_one->stream);
}

static void take_line(struct mux *m, const char *line) {
  unsigned id;
  size_t n;
  char path[LINE_MAX_LEN + 1];
  struct mux_stream *s;
  if (sscanf(line, "open %u %1000s", &id, path) == 2) open_stream(m, id, path);
  else if (sscanf(line, "window %u %zu", &id, &n) == 2 && (s = mux_find(m, id))) s->window = n;
  else if (sscanf(line, "reset %u", &id) == 1 && (s = mux_find(m, id))) {
    m->proto.sink->on_reset(s->stream);
    s->stream = NULL;
  }
  m->proto.sink->on_room(&m->proto);
}

static size_t mux_feed(struct proto *p, const char *bytes, size_t len) {
  char line[LINE_MAX_LEN + 1];
  const char *end = memchr(bytes, '\n', len);
  if (!end || end - bytes > LINE_MAX_LEN) return 0;
  memcpy(line, bytes, (size_t)(end - bytes));
  line[end - bytes] = 0;
  take_line(mux_of(p), line);
  return (size_t)(end + 1 - bytes);
}

static enum proto_phase mux_phase(const struct proto *p) { return (void)p, PROTO_IDLE; }

static bool mux_limit_body(struct proto *p, struct stream *s, uint64_t max) {
  return (void)p, (void)s, (void)max, true;
}

static void mux_answer(struct proto *p, struct stream *s, struct response *r, struct buf *out) {
  struct mux *m = mux_of(p);
  (void)out;
  buf_printf(&m->control, "%u head %d\n", mux_stream_of(m, s)->id, r->status);
}

static void mux_interim(struct proto *p, struct stream *s, int status, struct buf *out) {
  (void)p, (void)s, (void)status, (void)out;
}

static bool mux_refuse(struct proto *p, struct response *r, const char *why, struct buf *out) {
  (void)p, (void)why;
  buf_printf(out, "0 refused %d\n", r->status);
  return true;
}

// True where the stream gave something.
static bool put_frame(struct mux *m, struct mux_stream *s, struct outq *out) {
  static struct outq q; // of the one thread that a harness runs in
  q.count = 0, q.len = 0, q.is_share = q.has_more = false;
  size_t n = s->window ? m->proto.sink->take(s->stream, MIN(s->window, (size_t)FRAME_MAX), &q) : 0;
  out->is_share |= q.is_share, out->has_more |= q.has_more;
  if (!n) return false;
  s->window -= s->window < SIZE_MAX ? n : 0;
  s->in_batch += n;
  buf_printf(&m->batch, "%u data %zu\n", s->id, n);
  for (int i = 0; i < q.count; i++) buf_append(&m->batch, q.iov[i].iov_base, q.iov[i].iov_len);
  return true;
}

static void mux_fill(struct proto *p, struct outq *q) {
  struct mux *m = mux_of(p);
  m->batch.len = 0;
  buf_append_span(&m->batch, buf_span(&m->control));
  m->control.len = 0;
  for (bool any = true; any;) {
    any = false;
    for (int i = 0; i < STREAMS_MAX; i++) any |= m->streams[i].stream && put_frame(m, &m->streams[i], q);
  }
  m->batch_left = m->batch.len;
  if (!m->batch.len) return;
  q->iov[q->count++] = (struct iovec){m->batch.bytes, m->batch.len};
  q->len += m->batch.len;
}

static void mux_on_sent(struct proto *p, size_t len) {
  struct mux *m = mux_of(p);
  m->batch_left -= len;
  for (int i = 0; i < STREAMS_MAX && !m->batch_left; i++) {
    struct mux_stream *s = &m->streams[i];
    if (s->stream && s->in_batch) p->sink->on_left(s->stream, s->in_batch);
    s->in_batch = 0;
  }
}

static bool mux_finish(struct proto *p, struct stream *stream, enum ending ending) {
  static const char *const words[] = {"end", "cut", "reset"};
  struct mux *m = mux_of(p);
  struct mux_stream *s = mux_stream_of(m, stream);
  buf_printf(&m->control, "%u %s\n", s->id, words[ending]);
  s->stream = NULL;
  return true;
}

static void mux_free(struct proto *p) {
  struct mux *m = mux_of(p);
  buf_deinit(&m->control);
  buf_deinit(&m->batch);
  free(m);
}

static const struct proto_ops mux_ops = {.feed = mux_feed,
                                         .phase = mux_phase,
                                         .limit_body = mux_limit_body,
                                         .answer = mux_answer,
                                         .interim = mux_interim,
                                         .fill = mux_fill,
                                         .on_sent = mux_on_sent,
                                         .finish = mux_finish,
                                         .refuse = mux_refuse,
                                         .free = mux_free};

struct proto *mux_new(const struct proto_sink *sink, const struct proto_limits *limits) {
  struct mux *m = xcalloc(1, sizeof *m);
  m->proto = (struct proto){.ops = &mux_ops, .sink = sink};
  m->limits = limits;
  return &m->proto;
}
