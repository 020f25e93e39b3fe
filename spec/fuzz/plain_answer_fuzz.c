// SPDX-License-Identifier: MIT
// Answers of HTTP/1 as they stand, cut where the input says, and to a fetch that is paused behind each piece
// of its body: what is taken, kept or refused must not depend on that, and no answer may take a byte that
// lies behind it.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "client/plain_answer.h"
#include "serve/service.h"

#define REQUIRE(condition)                                                                     \
  do {                                                                                         \
    if (!(condition)) fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), abort(); \
  } while (0)

enum { HEAD_MAX = 512, FIELDS_MAX = 8 };

struct reading {
  struct fetch_sink sink;
  struct plain_answer answer;
  struct transfer *transfer;
  enum answer_outcome outcome;
  struct buf body, held;
  size_t left;    // bytes that were not taken
  bool pauses;    // behind each piece
  unsigned heads; // that were told of
};

static void on_head(struct fetch *f) { container_of(f->sink, struct reading, sink)->heads++; }

static void on_body(struct fetch *f, struct span bytes) {
  struct reading *r = container_of(f->sink, struct reading, sink);
  REQUIRE(r->heads == 1 && !f->is_paused);
  buf_append_span(&r->body, bytes);
  f->is_paused = r->pauses;
}

static void on_end(struct fetch *f) { (void)f; }

static const struct fetch_sink_ops sink_ops = {.on_head = on_head, .on_body = on_body, .on_end = on_end};

static bool is_over(const struct reading *r) {
  return r->outcome == ANSWER_COMPLETE || r->outcome == ANSWER_REFUSED;
}

// In an allocation of its own, whose end is watched.
static void read_piece(struct reading *r, struct span piece) {
  char *copy = malloc(piece.len + !piece.len);
  if (piece.len) memcpy(copy, piece.bytes, piece.len);
  struct span in = {copy, piece.len};
  do {
    r->transfer->fetch.is_paused = false;
    size_t before = in.len;
    r->outcome = plain_answer_take(&r->answer, r->transfer, &in);
    REQUIRE(r->outcome != ANSWER_HELD || in.len < before);
  } while (r->outcome == ANSWER_HELD);
  REQUIRE(is_over(r) || !in.len);
  REQUIRE(r->answer.line.len <= HEAD_MAX && r->transfer->fetch.field_count <= FIELDS_MAX);
  r->left = in.len;
  free(copy);
}

// `step` 0: all at once.
static struct reading *read_answer(struct fetcher *f, const struct fetch_request *q, struct span bytes,
                                   size_t step, bool pauses) {
  struct reading *r = calloc(1, sizeof *r);
  r->sink.ops = &sink_ops, r->pauses = pauses;
  r->transfer = transfer_new(f, q);
  transfer_begin(r->transfer);
  r->transfer->fetch.sink = &r->sink;
  plain_answer_begin(&r->answer);
  if (!step) step = bytes.len;
  while (bytes.len && !is_over(r)) {
    size_t n = MIN(step, bytes.len);
    read_piece(r, (struct span){bytes.bytes, n});
    bytes.bytes += n, bytes.len -= n;
  }
  r->left += bytes.len;
  return r;
}

static void free_reading(struct reading *r) {
  buf_deinit(&r->body);
  plain_answer_deinit(&r->answer);
  transfer_free(r->transfer);
  free(r);
}

static void require_same(const struct reading *a, const struct reading *b) {
  const struct transfer *t = a->transfer, *u = b->transfer;
  REQUIRE(a->outcome == b->outcome && t->error == u->error && a->heads == b->heads);
  REQUIRE(span_equal(buf_span(&a->body), buf_span(&b->body)));
  if (a->outcome == ANSWER_REFUSED) return;
  REQUIRE(a->answer.state == b->answer.state && a->left == b->left && a->answer.keeps == b->answer.keeps);
  REQUIRE(t->fetch.status == u->fetch.status && t->fetch.field_count == u->fetch.field_count);
  REQUIRE(span_equal(buf_span(&t->fetch.head), buf_span(&u->fetch.head)));
}

static struct service *service(void) {
  static struct settings settings;
  static struct service s;
  static struct loop loop;
  if (s.loop) return &s;
  settings = settings_default();
  settings.limits.http_head = HEAD_MAX, settings.limits.http_fields = FIELDS_MAX;
  loop_init(&loop, clock_system(), false);
  s.loop = &loop, s.settings = &settings;
  return &s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct fetcher fetcher;
  fetcher.service = service();
  if (size < 2) return 0;
  size_t step = 1 + data[0] % 63;
  struct fetch_request q = {.method = data[1] & 1 ? SPAN("HEAD") : SPAN("GET"),
                            .url = SPAN("http://a/"),
                            .redirects = data[1] & 2 ? 1 : 0};
  struct span bytes = {(const char *)data + 2, size - 2};
  struct reading *whole = read_answer(&fetcher, &q, bytes, 0, false);
  struct reading *cut = read_answer(&fetcher, &q, bytes, step, false);
  struct reading *paused = read_answer(&fetcher, &q, bytes, step, true);
  require_same(whole, cut);
  require_same(whole, paused);
  free_reading(whole);
  free_reading(cut);
  free_reading(paused);
  return 0;
}
