// SPDX-License-Identifier: MIT
// The client's pace is the other server's: above the stream's high-water mark that is no longer read from,
// until the stream has drained.
#include "client/pass.h"
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"

struct pass {
  struct stream_source source;
  struct fetch_sink sink;
  struct fetch *fetch; // NULL once it has let go of the other server
  struct stream *stream;
};

static void let_go(struct pass *p) {
  struct fetch *f = p->fetch;
  p->fetch = NULL;
  fetch_free(f);
}

static void fail(struct pass *p, const char *why) {
  log_message(LOG_WARN, "answer of another server: %s", why ? why : "failed");
  let_go(p);
  stream_end(p->stream, REASON_ERROR, true);
}

static void on_body(struct fetch *f, struct span bytes) {
  struct pass *p = container_of(f->sink, struct pass, sink);
  struct stream *s = p->stream;
  if (s->framing == FRAMING_LENGTH && bytes.len > s->length_left) {
    fail(p, "longer than its Content-Length");
    return;
  }
  stream_write(s, bytes);
  if (stream_is_full(s)) fetch_pause(f);
}

static void on_end(struct fetch *f) {
  struct pass *p = container_of(f->sink, struct pass, sink);
  bool is_short = p->stream->framing == FRAMING_LENGTH && p->stream->length_left;
  if (f->error || is_short) {
    fail(p, f->error ? f->message : "shorter than its Content-Length");
    return;
  }
  let_go(p);
  stream_end(p->stream, REASON_FINISHED, false);
}

static const struct fetch_sink_ops sink_ops = {.on_body = on_body, .on_end = on_end};

static struct pass *of_source(struct stream_source *source) {
  return container_of(source, struct pass, source);
}

static void stop_source(struct stream_source *source) { let_go(of_source(source)); }

static void free_source(struct stream_source *source) {
  let_go(of_source(source));
  free(of_source(source));
}

static void drain_source(struct stream_source *source) {
  if (of_source(source)->fetch) fetch_resume(of_source(source)->fetch);
}

void pass_body(struct fetch *f, struct span body, struct stream *s) {
  static const struct stream_source_ops source_ops = {
      .stop = stop_source, .free = free_source, .drain = drain_source, .is_elsewhere = true};
  struct pass *p = xcalloc(1, sizeof *p);
  p->source.ops = &source_ops, p->fetch = f, p->stream = s;
  p->sink.ops = &sink_ops;
  f->sink = &p->sink, s->source = &p->source;
  if (body.len) on_body(f, body);
  if (!p->fetch) return;
  if (f->state == FETCH_ENDED) on_end(f);
  else if (!stream_is_full(s)) fetch_resume(f);
}
