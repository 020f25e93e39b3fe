// SPDX-License-Identifier: MIT
// What a client or a reader has not taken is bounded: above the stream's or the queue's mark the other server
// is no longer read from, and waits. A stream gets an id where the other server has said one, so that both
// agree on where a client is; a reader gets the last one with each event.
#include "client/event_source.h"
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"

struct waiting_event {
  struct list link;
  struct event *event;
};

static struct event_source *event_source_of(const struct fetch *f) {
  return container_of(f->sink, struct event_source, sink);
}

static void tell_reader(struct event_source *u) {
  struct event_source_reader *r = u->reader;
  u->reader = NULL;
  if (r) r->on_news(r);
}

void event_source_await(struct event_source *u, struct event_source_reader *reader) { u->reader = reader; }

static void event_source_push(struct event_source *u, struct event *e) {
  struct waiting_event *w = xmalloc(sizeof *w);
  *w = (struct waiting_event){.event = e};
  list_append(&u->queue, &w->link);
  u->count++, u->bytes += e->len;
}

struct event *event_source_peek(const struct event_source *u) {
  return u->count ? container_of(u->queue.next, struct waiting_event, link)->event : NULL;
}

static bool is_below(const struct event_source *u, size_t bytes, size_t count) {
  return u->bytes <= bytes && u->count <= count;
}

struct event *event_source_take(struct event_source *u) {
  const struct settings *set = u->service->settings;
  struct list *node = list_shift(&u->queue);
  if (!node) return NULL;
  struct waiting_event *w = container_of(node, struct waiting_event, link);
  struct event *e = w->event;
  free(w);
  u->count--, u->bytes -= e->len;
  if (u->fetch && u->state == SOURCE_QUEUED &&
      is_below(u, set->limits.queue_low / 2, set->limits.queue_events / 2))
    fetch_resume(u->fetch);
  return e;
}

static void on_event(struct sse_parser *p, const struct sse_fields *f) {
  struct event_source *u = container_of(p, struct event_source, parser);
  struct sse_fields out = *f;
  if (u->stream && !p->id_is_new) out.id = (struct span){0};
  else if (p->id_is_new && !out.id.bytes) out.id = SPAN("");
  struct event *e = sse_encode(&out, sse_length(&out));
  if (u->stream) stream_send(u->stream, e);
  else event_source_push(u, e);
}

// Pauses the other server where enough waits.
static void hold_back(struct event_source *u) {
  const struct settings *set = u->service->settings;
  bool is_full =
      u->stream ? stream_is_full(u->stream) : !is_below(u, set->limits.queue_low, set->limits.queue_events);
  if (is_full && u->fetch) fetch_pause(u->fetch);
}

static void let_go_of_fetch(struct event_source *u) {
  struct fetch *f = u->fetch;
  u->fetch = NULL;
  fetch_free(f);
}

static void leave_stream(struct event_source *u) {
  if (u->stream) u->stream->source = NULL;
  u->stream = NULL;
}

// Its stream ends as the answer has.
static void end_stream(const struct event_source *u, struct stream *s) {
  if (u->error) log_message(LOG_WARN, "events of another server: %s", u->message ? u->message : "failed");
  stream_end(s, u->error ? REASON_ERROR : REASON_FINISHED, u->error != FETCH_OK);
}

// The answer has ended, or is not read any more.
static void end(struct event_source *u, enum fetch_error error, const char *message) {
  struct stream *s = u->state == SOURCE_STREAMED ? u->stream : NULL;
  u->error = error, u->message = message ? xstrdup(message) : NULL;
  u->state = SOURCE_ENDED;
  let_go_of_fetch(u);
  if (!s) {
    leave_stream(u);
    tell_reader(u);
    return;
  }
  end_stream(u, s);
}

static void on_body(struct fetch *f, struct span bytes) {
  struct event_source *u = event_source_of(f);
  size_t before = u->count;
  if (!sse_parse(&u->parser, bytes)) {
    end(u, FETCH_TOO_LARGE, "an event is larger than limits.event");
    return;
  }
  hold_back(u);
  if (u->count > before) tell_reader(u);
}

static void on_end(struct fetch *f) { end(event_source_of(f), f->error, f->message); }

static const struct fetch_sink_ops sink_ops = {.on_body = on_body, .on_end = on_end};

struct event_source *event_source_new(struct service *service, struct fetch *f, struct span body,
                                      struct span last_id) {
  struct event_source *u = xcalloc(1, sizeof *u);
  u->service = service, u->fetch = f;
  u->sink.ops = &sink_ops;
  list_init(&u->queue);
  sse_parser_init(&u->parser, on_event, service->settings->limits.event, last_id);
  f->sink = &u->sink;
  if (body.len) on_body(f, body);
  if (!u->fetch) return u;
  if (f->state == FETCH_ENDED) on_end(f);
  else if (is_below(u, service->settings->limits.queue_low, service->settings->limits.queue_events))
    fetch_resume(f);
  return u;
}

void event_source_close(struct event_source *u) {
  if (u->state == SOURCE_ENDED) return;
  u->state = SOURCE_ENDED;
  let_go_of_fetch(u);
  leave_stream(u);
  tell_reader(u);
}

void event_source_free(struct event_source *u) {
  if (!u) return;
  event_source_close(u);
  tell_reader(u);
  for (struct event *e; (e = event_source_take(u));) event_unref(e);
  sse_parser_deinit(&u->parser);
  free(u->message);
  free(u);
}

static struct event_source *of_source(struct stream_source *source) {
  return container_of(source, struct event_source, source);
}

static void drain_source(struct stream_source *source) {
  if (of_source(source)->fetch) fetch_resume(of_source(source)->fetch);
}

static void stop_source(struct stream_source *source) { let_go_of_fetch(of_source(source)); }

static void free_source(struct stream_source *source) {
  of_source(source)->stream = NULL;
  event_source_free(of_source(source));
}

static void close_source(struct stream_source *source) { event_source_close(of_source(source)); }

static const struct stream_source_ops owner_ops = {
    .stop = stop_source, .free = free_source, .drain = drain_source, .is_elsewhere = true};
static const struct stream_source_ops lent_ops = {
    .stop = close_source, .free = close_source, .drain = drain_source, .is_elsewhere = true};

// What waits goes first. The other server may go on where the stream has room.
static void begin_streaming(struct event_source *u, struct stream *s) {
  for (struct event *e; (e = event_source_take(u));) stream_send(s, e);
  if (u->state == SOURCE_ENDED) return;
  u->stream = s, s->source = &u->source;
  if (stream_is_full(s)) fetch_pause(u->fetch);
  else fetch_resume(u->fetch);
}

void event_source_attach(struct event_source *u, struct stream *s) {
  begin_streaming(u, s);
  u->source.ops = &owner_ops;
  if (u->state != SOURCE_ENDED) {
    u->state = SOURCE_STREAMED;
    return;
  }
  u->stream = s, s->source = &u->source;
  end_stream(u, s);
}

void event_source_lend(struct event_source *u, struct stream *s, struct event_source_reader *reader) {
  begin_streaming(u, s);
  if (u->state == SOURCE_ENDED) {
    reader->on_news(reader);
    return;
  }
  u->source.ops = &lent_ops;
  u->state = SOURCE_LENT, u->reader = reader;
}
