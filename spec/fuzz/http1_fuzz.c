// SPDX-License-Identifier: MIT
// The same bytes must give the same requests, bodies and refusals however they are split. The first byte of
// the input chooses the pieces and the limits; the rest is fed whole, then in pieces, each in memory of its
// exact size, and what came out is written down and compared. What a request promises is checked on the way.
#include <stdint.h>
#include <stdlib.h>
#include "base/buf.h"
#include "http/http1.h"

#define CHECK(condition) \
  if (!(condition)) __builtin_trap()

struct record {
  struct buf text; // what happened, the body left out
  struct buf body; // of all requests: pieces of it may be cut differently
  struct request *request;
  bool ended, refused;
  uint64_t body_max;
};

static struct record *current;

static void note(const char *what, struct span s) {
  buf_printf(&current->text, "%s %zu ", what, s.len);
  buf_append_span(&current->text, s);
}

static bool is_within(const struct request *r, struct span s) {
  return s.bytes >= r->bytes && s.bytes + s.len <= (const char *)r->fields;
}

static void check_field(const struct request *r, const struct field *f) {
  CHECK(is_within(r, f->name) && is_within(r, f->value) && f->name.len);
  for (size_t i = 0; i < f->name.len; i++) CHECK(f->name.bytes[i] > ' ' && f->name.bytes[i] != ':');
  for (size_t i = 0; i < f->value.len; i++) CHECK(!f->value.bytes[i] || !strchr("\r\n", f->value.bytes[i]));
  for (size_t i = 0; i < f->value.len; i++) CHECK(f->value.bytes[i]);
  CHECK(span_equal(f->value, span_trim(f->value)));
}

static void check_request(const struct request *r) {
  CHECK(r->method >= 0 && r->method <= METHOD_OTHER && r->method_name.len && r->minor >= 0 && r->minor <= 1);
  CHECK(r->path.len && (r->path.bytes[0] == '/' || (r->method == METHOD_OPTIONS && r->path.bytes[0] == '*')));
  CHECK(r->host.len || r->minor == 0);
  CHECK(is_within(r, r->target));
  for (size_t i = 0; i < r->field_count; i++) check_field(r, &r->fields[i]);
}

static struct stream *on_request(struct proto *p, struct request *r) {
  CHECK(!current->request && !current->refused);
  check_request(r);
  current->request = r;
  buf_printf(&current->text, "request 1.%d %d %d %d %ju ", r->minor, r->keep_alive, r->expect_continue,
             r->body, (uintmax_t)r->content_length);
  note("method", r->method_name);
  note("target", r->target);
  note("path", r->path);
  note("query", r->query);
  note("host", r->host);
  for (size_t i = 0; i < r->field_count; i++) {
    note("name", r->fields[i].name);
    note("value", r->fields[i].value);
  }
  CHECK(p->ops->limit_body(p, NULL, current->body_max));
  return NULL;
}

static void on_body(struct stream *s, struct span bytes) {
  (void)s;
  CHECK(current->request && !current->ended && bytes.len);
  buf_append_span(&current->body, bytes);
}

static void on_body_end(struct stream *s) {
  (void)s;
  CHECK(current->request && !current->ended);
  buf_printf(&current->text, "end %zu ", current->body.len);
  current->ended = true;
}

static void on_refused(struct proto *p, struct refusal r) {
  (void)p;
  CHECK(!current->refused && !current->ended && r.status >= 400 && r.status <= 505);
  buf_printf(&current->text, "refused %d %s %zu", r.status, r.why, current->body.len);
  current->refused = true;
}

static const struct proto_sink sink = {
    .on_request = on_request, .on_body = on_body, .on_body_end = on_body_end, .on_refused = on_refused};

// An answer that lets the connection go on.
static void answer(struct proto *p) {
  struct response r = {.status = 204, .framing = FRAMING_NONE, .keep_alive = true};
  struct buf out = {0};
  p->ops->answer(p, NULL, &r, &out);
  CHECK(out.len && p->ops->finish(p, NULL, ENDING_CLEAN));
  buf_deinit(&out);
}

// Feeds a copy as long as the piece, so that a read behind it is seen.
static size_t feed_copy(struct proto *p, const char *bytes, size_t len) {
  char *copy = malloc(len + !len);
  if (len) memcpy(copy, bytes, len);
  size_t taken = p->ops->feed(p, copy, len);
  free(copy);
  CHECK(taken <= len);
  return taken;
}

// Goes on from one request to the next as far as `len` bytes reach; returns how many are consumed.
static size_t feed_all(struct proto *p, const char *bytes, size_t len) {
  size_t taken = 0;
  for (;;) {
    taken += feed_copy(p, bytes + taken, len - taken);
    if (current->refused || !current->ended) return taken;
    CHECK(p->ops->phase(p) == PROTO_BODY && feed_copy(p, bytes + taken, len - taken) == 0);
    request_free(current->request);
    current->request = NULL, current->ended = false;
    answer(p);
  }
}

// In pieces of up to `piece_max` bytes, or whole for 0.
static void run(struct record *record, const struct proto_limits *limits, struct span in, size_t piece_max) {
  struct proto *p = http1_new(&sink, limits);
  size_t taken = 0;
  current = record;
  for (size_t known = 0, turn = 1; known < in.len && !record->refused; turn = turn * 5 + 3) {
    known += piece_max ? MIN(1 + turn % piece_max, in.len - known) : in.len;
    taken += feed_all(p, in.bytes + taken, known - taken);
  }
  p->ops->free(p);
  request_free(record->request);
}

static void record_deinit(struct record *record) {
  buf_deinit(&record->text);
  buf_deinit(&record->body);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  static const struct proto_limits small = {256, 40, 6, 16}, usual = {16 << 10, 8 << 10, 100, 16 << 10};
  if (!len) return 0;
  const struct proto_limits *limits = bytes[0] & 0x80 ? &small : &usual;
  struct span in = {(const char *)bytes + 1, len - 1};
  uint64_t body_max = limits == &small ? 48 : 1 << 20;
  struct record whole = {.body_max = body_max}, pieces = {.body_max = body_max};
  run(&whole, limits, in, 0);
  run(&pieces, limits, in, 1 + (bytes[0] & 0x7f) / 4);
  CHECK(span_equal(buf_span(&whole.text), buf_span(&pieces.text)));
  CHECK(span_equal(buf_span(&whole.body), buf_span(&pieces.body)));
  record_deinit(&whole);
  record_deinit(&pieces);
  return 0;
}
