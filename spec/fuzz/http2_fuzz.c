// SPDX-License-Identifier: MIT
// Frames against nghttp2 with the callbacks of the server, and answers of all kinds meanwhile. The first byte
// chooses the pieces, the limits and what handlers do; a preface goes before the rest, unless it says
// otherwise. What a request promises is checked, no stream is spoken of once it has gone, what is taken
// leaves or goes with its stream, and the client costs no more memory than its limits say.
#include <stdint.h>
#include <stdlib.h>
#include "base/buf.h"
#include "base/mem.h"
#include "http/http2.h"
#include "loop/transport.h"

#define CHECK(condition) \
  if (!(condition)) __builtin_trap()

enum { STREAMS_MAX = 16, BODY_MAX = 3000, TURNS_AFTER = 4 };

// As the connection has it.
struct stream {
  struct list link;
  struct request *request;
  void *slot;
  size_t answer, in_flight,
      kept; // bytes of the answer that wait; that were taken; of the body that are not read
  bool is_new, is_answered, is_reset, is_too_large, body_done, never_ends;
};

static struct list streams;
static size_t stream_count;
static double now;
static bool is_over, is_flooded;
static unsigned manner;

static bool is_within(const struct request *r, struct span s) {
  return !s.len || (s.bytes >= r->bytes && s.bytes + s.len <= (const char *)r->fields);
}

static void check_request(const struct request *r) {
  CHECK(r->method_name.len && r->minor == 1 && r->is_http2 && r->path.len && r->host.len);
  CHECK(is_within(r, r->target) && is_within(r, r->method_name));
  for (size_t i = 0; i < r->field_count; i++) {
    const struct field *f = &r->fields[i];
    CHECK(f->name.len && is_within(r, f->value));
    for (size_t k = 0; k < f->name.len; k++)
      CHECK(f->name.bytes[k] > ' ' && !(f->name.bytes[k] >= 'A' && f->name.bytes[k] <= 'Z'));
    for (size_t k = 0; k < f->value.len; k++)
      CHECK(f->value.bytes[k] && f->value.bytes[k] != '\r' && f->value.bytes[k] != '\n');
  }
}

static struct stream *on_request(struct proto *p, struct request *r) {
  struct stream *s = xcalloc(1, sizeof *s);
  (void)p;
  check_request(r);
  s->request = r, s->is_new = true;
  list_append(&streams, &s->link);
  CHECK(++stream_count <= 1000);
  return s;
}

static void on_body(struct stream *s, struct span bytes) {
  CHECK(s->slot && !s->body_done && bytes.len);
  s->kept += bytes.len;
  CHECK(s->kept <= BODY_MAX || s->is_answered || s->kept <= 70000);
}

static void on_body_end(struct stream *s) {
  CHECK(!s->body_done);
  s->body_done = true;
}

static void on_reset(struct stream *s) {
  CHECK(!s->is_reset);
  s->is_reset = true;
}

static void on_too_large(struct stream *s) { s->is_too_large = true; }
static void on_refused(struct proto *p, struct refusal r) { (void)p, (void)r; }
static void on_room(struct proto *p) { (void)p; }
static void on_declined(struct proto *p, struct refusal r) {
  (void)p;
  CHECK(r.status >= 400);
}
static void on_flood(struct proto *p, enum flood what, const char *why) {
  (void)p, (void)what, (void)why, is_flooded = true;
}
static void **slot_of(struct stream *s) { return &s->slot; }
static double now_of(struct proto *p) { return (void)p, now; }
static void on_over(struct proto *p) { (void)p, is_over = true; }

static size_t take(struct stream *s, size_t max, struct outq *q) {
  static char text[5000];
  size_t n = MIN(MIN(s->answer, max), sizeof text);
  CHECK(s->is_answered && s->slot);
  if (n) q->iov[q->count++] = (struct iovec){text, n};
  q->len += n, s->answer -= n, s->in_flight += n;
  q->has_more |= s->answer > 0;
  q->is_last = !s->answer && !s->never_ends;
  return n;
}

static void on_left(struct stream *s, size_t len) {
  CHECK(len <= s->in_flight);
  s->in_flight -= len;
}

static const struct proto_sink sink = {.on_request = on_request,
                                       .on_body = on_body,
                                       .on_body_end = on_body_end,
                                       .on_refused = on_refused,
                                       .on_reset = on_reset,
                                       .on_room = on_room,
                                       .on_too_large = on_too_large,
                                       .on_declined = on_declined,
                                       .on_flood = on_flood,
                                       .slot = slot_of,
                                       .now = now_of,
                                       .on_over = on_over,
                                       .take = take,
                                       .on_left = on_left};

static void drop(struct stream *s) {
  list_remove(&s->link);
  request_free(s->request);
  free(s);
  stream_count--;
}

// What a handler does with a request: by the manner, and by its number.
static void answer(struct proto *p, struct stream *s, unsigned how) {
  const struct field fields[] = {{SPAN("X-Name"), SPAN("value")}, {SPAN("Connection"), SPAN("close")}};
  struct response r = {
      .status = how & 1 ? 200 : 204, .fields = fields, .field_count = how % 3, .date = SPAN("now")};
  struct buf out = {0};
  if (how & 8) p->ops->interim(p, s, 100, &out);
  s->answer = how & 1 ? (how & 2 ? 100 : 40000) : 0;
  s->never_ends = how & 1 && how & 4;
  r.framing = !(how & 1) ? FRAMING_NONE : s->never_ends ? FRAMING_OPEN : FRAMING_LENGTH;
  r.content_length = s->answer;
  s->is_answered = true;
  p->ops->answer(p, s, &r, &out);
  CHECK(!out.len && r.framing != FRAMING_OPEN);
  p->ops->ready(p, s);
}

// Once what has come has been read, as a connection does.
static void act(struct proto *p, unsigned turn) {
  unsigned how = manner + turn;
  list_each (node, &streams) {
    struct stream *s = container_of(node, struct stream, link);
    how = how * 5 + 3;
    if (s->is_reset) {
      drop(s);
      continue;
    }
    if (s->is_new && how & 2) p->ops->limit_body(p, s, BODY_MAX);
    s->is_new = false;
    if (how & 4) s->kept = 0, p->ops->body_kept(p, s, 0);
    if (!s->is_answered && (how & 1 || s->is_too_large)) answer(p, s, how >> 1);
    bool is_whole = s->is_answered && !s->answer && !s->in_flight && !s->never_ends;
    bool is_given_up = !(how % 7);
    if (!is_whole && !is_given_up) continue;
    p->ops->finish(p, s, is_whole ? ENDING_CLEAN : how & 16 ? ENDING_CUT : ENDING_RESET);
    drop(s);
  }
  if (how % 11 == 0) p->ops->go_away(p);
  list_each (node, &streams) {
    struct stream *s = container_of(node, struct stream, link), *worst = p->ops->hoarder(p, s);
    CHECK(!worst || worst == s || worst->slot);
    CHECK(p->ops->passed_over(p, s) <= now && p->ops->crowded_at(p) <= now);
  }
}

// Pulls a batch, and has it leave in two parts.
static void flush(struct proto *p) {
  struct outq q = {.count = 0};
  p->ops->fill(p, &q);
  CHECK(q.count <= 1 && q.len <= (128 << 10));
  if (!q.len) return;
  CHECK(!is_over || !q.has_more);
  p->ops->on_sent(p, q.len / 2);
  p->ops->on_sent(p, q.len - q.len / 2);
}

static void turn(struct proto *p, const char *bytes, size_t len, unsigned n) {
  char *copy = malloc(len + !len);
  if (len) memcpy(copy, bytes, len);
  CHECK(p->ops->feed(p, copy, len) == len);
  free(copy);
  act(p, n);
  for (int i = 0; i < 3; i++) flush(p);
  p->ops->phase(p);
  now += 0.01;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  static const struct proto_limits
      usual = {.head = 16 << 10, .target = 8 << 10, .fields = 100, .http2 = {256, 65535, 4 << 20, 500, 1000}},
      small = {.head = 256, .target = 40, .fields = 6, .http2 = {STREAMS_MAX, 1000, 65535, 10, 30}};
  static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  if (len < 2) return 0;
  struct span in = {(const char *)bytes + 2, len - 2};
  size_t piece = bytes[0] & 0x40 ? 1 + (bytes[0] & 0x3f) : SIZE_MAX;
  struct proto *p = http2_new(&sink, bytes[0] & 0x80 ? &small : &usual);
  manner = bytes[1], is_over = is_flooded = false, now = 0;
  list_init(&streams);
  if (manner != 0xff) turn(p, preface, sizeof preface - 1, 0);
  for (unsigned n = 1; in.len && !is_over; n++) {
    size_t part = MIN(piece, in.len);
    turn(p, in.bytes, part, n);
    in.bytes += part, in.len -= part;
  }
  for (unsigned n = 0; n < TURNS_AFTER && !is_over; n++) turn(p, "", 0, n);
  CHECK(!is_flooded || is_over);
  list_each (node, &streams) drop(container_of(node, struct stream, link));
  p->ops->free(p);
  return 0;
}
