// SPDX-License-Identifier: MIT
// HTTP/1 carries one exchange at a time: head, body, and then nothing until its stream has finished. What is
// done with a byte depends on the bytes before it alone, so any way of splitting the input gives the same
// requests, bodies and refusals. An idle connection keeps one struct http1 and nothing beside it: a head
// waits in the connection's buffer until it is complete, and a body passes through.
#include "http/http1.h"
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "http/chunked.h"
#include "http/head.h"
#include "http/head_guard.h"

enum http1_state { HTTP1_HEAD, HTTP1_LENGTH, HTTP1_CHUNKED, HTTP1_TRAILER, HTTP1_DONE };

struct http1 {
  struct proto proto;
  const struct proto_limits *limits;
  struct stream *stream; // the exchange that it carries
  uint8_t state;         // enum http1_state
  uint8_t minor;         // the request's
  bool keeps_alive;      // what the answer's head has said
  union {
    struct head_guard guard; // in HTTP1_HEAD and HTTP1_TRAILER
    uint64_t left;           // of the body, in HTTP1_LENGTH
    struct chunked chunked;  // in HTTP1_CHUNKED
  };
};

_Static_assert(sizeof(struct http1) <= 72, "kept by every idle connection");

static void refuse(struct http1 *h, struct refusal refusal) {
  h->state = HTTP1_DONE;
  h->proto.sink->on_refused(&h->proto, refusal);
}

static void end_body(struct http1 *h) {
  h->state = HTTP1_DONE;
  h->proto.sink->on_body_end(h->stream);
}

static void begin_body(struct http1 *h, enum body_kind kind, uint64_t length) {
  if (kind == BODY_CHUNKED) {
    h->state = HTTP1_CHUNKED;
    h->chunked = CHUNKED_START;
  } else {
    h->state = length ? HTTP1_LENGTH : HTTP1_DONE;
    h->left = length;
  }
}

// Who begins with HTTP/2 where nobody speaks it is to know why.
static struct refusal explain(const struct http1 *h, struct span head, struct refusal refusal) {
  bool is_preface = span_starts_with(head, SPAN("PRI * HTTP/2.0\r\n"));
  return is_preface && refusal.status == 505 && !h->limits->http2.on ? REFUSED(505, "HTTP/2 is switched off")
                                                                     : refusal;
}

// Consumes the head once it is complete, before that only the empty lines in front of it.
static size_t feed_head(struct http1 *h, const char *bytes, size_t len) {
  struct head_guard *g = &h->guard;
  struct request *request = NULL;
  struct refusal refusal = head_guard_scan(g, bytes, len, h->limits);
  size_t lead = g->lead_len, scanned = g->scanned;
  if (!refusal.status && g->state != GUARD_DONE) {
    g->scanned -= lead, g->lead_len = 0;
    return lead;
  }
  if (!refusal.status) refusal = head_parse((struct span){bytes + lead, scanned - lead}, g->fields, &request);
  if (refusal.status) {
    refuse(h, explain(h, (struct span){bytes + lead, len - lead}, refusal));
    return lead;
  }
  begin_body(h, request->body, request->content_length);
  h->minor = (uint8_t)request->minor;
  h->stream = h->proto.sink->on_request(&h->proto, request);
  if (h->state == HTTP1_DONE) h->proto.sink->on_body_end(h->stream);
  return scanned;
}

static size_t feed_length(struct http1 *h, const char *bytes, size_t len) {
  size_t taken = (size_t)MIN(h->left, (uint64_t)len);
  h->left -= taken;
  h->proto.sink->on_body(h->stream, (struct span){bytes, taken});
  if (!h->left) end_body(h);
  return taken;
}

static size_t feed_chunked(struct http1 *h, const char *bytes, size_t len) {
  struct refusal refusal = ACCEPTED;
  struct span data;
  size_t taken = chunked_take(&h->chunked, (struct span){bytes, len}, h->limits, &data, &refusal);
  if (data.len) h->proto.sink->on_body(h->stream, data);
  if (refusal.status) refuse(h, refusal);
  else if (h->chunked.state == CHUNKED_DONE) {
    h->state = HTTP1_TRAILER;
    h->guard = (struct head_guard){.state = GUARD_FIELD};
  }
  return taken;
}

// A trailer that speaks of the body's length must not be sent (RFC 9110 6.5.1), and there are parsers that
// believe it: a message that ends elsewhere for others is how requests are smuggled.
static bool has_framing(struct span trailer) {
  while (trailer.len) {
    struct span line = span_split(&trailer, '\n'), name = span_split(&line, ':');
    if (span_equal_nocase(name, SPAN("transfer-encoding")) || span_equal_nocase(name, SPAN("content-length")))
      return true;
  }
  return false;
}

// Consumes the trailer section once it is complete. Its fields are dropped (RFC 9112 7.1.2): none of them may
// change what the head has said.
static size_t feed_trailer(struct http1 *h, const char *bytes, size_t len) {
  struct refusal refusal = head_guard_scan(&h->guard, bytes, len, h->limits);
  size_t scanned = h->guard.scanned;
  bool is_complete = !refusal.status && h->guard.state == GUARD_DONE;
  if (refusal.status == 431) refusal.why = "too many trailer fields";
  if (is_complete && has_framing((struct span){bytes, scanned}))
    refusal = REFUSED(400, "length in a trailer field");
  if (refusal.status) refuse(h, refusal);
  else if (is_complete) end_body(h);
  return is_complete && !refusal.status ? scanned : 0;
}

static size_t feed_some(struct http1 *h, const char *bytes, size_t len) {
  switch (h->state) {
  case HTTP1_HEAD: return feed_head(h, bytes, len);
  case HTTP1_LENGTH: return feed_length(h, bytes, len);
  case HTTP1_CHUNKED: return feed_chunked(h, bytes, len);
  case HTTP1_TRAILER: return feed_trailer(h, bytes, len);
  case HTTP1_DONE: break;
  }
  return 0;
}

static size_t http1_feed(struct proto *p, const char *bytes, size_t len) {
  struct http1 *h = container_of(p, struct http1, proto);
  size_t taken = 0, some;
  do {
    some = taken < len ? feed_some(h, bytes + taken, len - taken) : 0;
    taken += some;
  } while (some);
  return taken;
}

static enum proto_phase http1_phase(const struct proto *p) {
  const struct http1 *h = container_of(p, const struct http1, proto);
  if (h->state != HTTP1_HEAD) return PROTO_BODY;
  return h->guard.state == GUARD_START || h->guard.state == GUARD_LEAD_LF ? PROTO_IDLE : PROTO_HEAD;
}

static bool http1_limit_body(struct proto *p, struct stream *s, uint64_t max) {
  struct http1 *h = container_of(p, struct http1, proto);
  (void)s;
  return h->state != HTTP1_CHUNKED || chunked_limit(&h->chunked, max);
}

static void http1_answer(struct proto *p, struct stream *s, struct response *r, struct buf *out) {
  struct http1 *h = container_of(p, struct http1, proto);
  (void)s;
  if (r->framing == FRAMING_OPEN) r->framing = h->minor ? FRAMING_CHUNKED : FRAMING_CLOSE;
  r->keep_alive &= r->framing != FRAMING_CLOSE;
  h->keeps_alive = r->keep_alive;
  http1_write_head(r, h->minor, out);
}

static void http1_interim(struct proto *p, struct stream *s, int status, struct buf *out) {
  (void)p, (void)s;
  buf_printf(out, "HTTP/1.1 %d %s\r\n\r\n", status, status_phrase(status));
}

static bool http1_refuse(struct proto *p, struct response *r, const char *why, struct buf *out) {
  (void)p, (void)why;
  http1_write_head(r, 1, out);
  return true;
}

static void http1_fill(struct proto *p, struct outq *q) {
  struct http1 *h = container_of(p, struct http1, proto);
  if (h->stream) p->sink->take(h->stream, SIZE_MAX, q);
}

static void http1_on_sent(struct proto *p, size_t len) {
  struct http1 *h = container_of(p, struct http1, proto);
  if (h->stream) p->sink->on_left(h->stream, len);
}

// There is no way to end a message before its end but to close (RFC 9112 8).
static bool http1_finish(struct proto *p, struct stream *s, enum ending ending) {
  struct http1 *h = container_of(p, struct http1, proto);
  bool goes_on = ending == ENDING_CLEAN && h->keeps_alive;
  (void)s;
  h->stream = NULL;
  if (!goes_on) return false;
  h->state = HTTP1_HEAD;
  h->guard = (struct head_guard){0};
  return true;
}

static void http1_free(struct proto *p) { free(container_of(p, struct http1, proto)); }

static const struct proto_ops http1_ops = {
    .feed = http1_feed,
    .phase = http1_phase,
    .limit_body = http1_limit_body,
    .answer = http1_answer,
    .interim = http1_interim,
    .fill = http1_fill,
    .on_sent = http1_on_sent,
    .finish = http1_finish,
    .refuse = http1_refuse,
    .free = http1_free,
};

struct proto *http1_new(const struct proto_sink *sink, const struct proto_limits *limits) {
  struct http1 *h = xmalloc(sizeof *h);
  *h = (struct http1){.proto = {.ops = &http1_ops, .sink = sink}, .limits = limits};
  return &h->proto;
}
