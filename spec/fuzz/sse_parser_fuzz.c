// SPDX-License-Identifier: MIT
// Parses event streams as they stand, byte by byte, and cut where the input says: what is dispatched, kept or
// refused must not depend on that. Events that were dispatched must come back as they are once they are
// encoded.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "event/sse_parser.h"

#define REQUIRE(condition)                                                                     \
  do {                                                                                         \
    if (!(condition)) fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), abort(); \
  } while (0)

struct parsing {
  struct sse_parser parser;
  struct buf seen;    // the events, each field behind its length
  struct buf encoded; // the same as a stream
  bool is_too_large;
};

static void see(struct buf *b, struct span s) {
  buf_printf(b, "%zu:", s.len);
  buf_append_span(b, s);
}

static void on_event(struct sse_parser *p, const struct sse_fields *f) {
  struct parsing *parsing = container_of(p, struct parsing, parser);
  REQUIRE(f->data.bytes && !f->comment.bytes && f->retry_ms < 0);
  see(&parsing->seen, f->event);
  see(&parsing->seen, f->id);
  see(&parsing->seen, f->data);
  struct sse_fields with_id = *f;
  if (!f->id.bytes) with_id.id = SPAN("");
  struct event *e = sse_encode(&with_id, sse_length(&with_id));
  buf_append(&parsing->encoded, e->bytes + e->bare_at, event_bare_len(e));
  event_unref(e);
}

// In an allocation of its own, whose end is watched.
static bool parse_piece(struct parsing *p, struct span piece) {
  char *copy = malloc(piece.len + !piece.len);
  if (piece.len) memcpy(copy, piece.bytes, piece.len);
  bool ok = sse_parse(&p->parser, (struct span){copy, piece.len});
  free(copy);
  return ok;
}

// `step` 0: all at once.
static struct parsing parse(struct span bytes, size_t step, size_t event_max) {
  struct parsing p = {0};
  sse_parser_init(&p.parser, on_event, event_max, SPAN("before"));
  if (!step) step = bytes.len;
  for (size_t at = 0; at < bytes.len && !p.is_too_large; at += step)
    p.is_too_large = !parse_piece(&p, (struct span){bytes.bytes + at, MIN(step, bytes.len - at)});
  size_t waits = p.parser.line.len + p.parser.data.len + p.parser.event.len + p.parser.id.len;
  REQUIRE(waits <= event_max + sizeof "before");
  return p;
}

static void require_same(const struct parsing *a, const struct parsing *b) {
  REQUIRE(a->is_too_large == b->is_too_large);
  REQUIRE(span_equal(buf_span(&a->seen), buf_span(&b->seen)));
  REQUIRE(a->is_too_large || a->parser.retry_ms == b->parser.retry_ms);
  REQUIRE(span_equal(buf_span(&a->parser.last_id), buf_span(&b->parser.last_id)));
}

static void parsing_deinit(struct parsing *p) {
  sse_parser_deinit(&p->parser);
  buf_deinit(&p->seen);
  buf_deinit(&p->encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  if (len < 2) return 0;
  size_t step = bytes[0], event_max = bytes[1] & 1 ? 1 << 20 : 8 + bytes[1];
  struct span text = {(const char *)bytes + 2, len - 2};
  struct parsing whole = parse(text, 0, event_max), single = parse(text, 1, event_max);
  struct parsing cut = parse(text, step + 1, event_max);
  require_same(&whole, &single);
  require_same(&whole, &cut);
  struct parsing again = parse(buf_span(&whole.encoded), 0, 1 << 20);
  REQUIRE(!again.is_too_large && span_equal(buf_span(&again.seen), buf_span(&whole.seen)));
  parsing_deinit(&whole);
  parsing_deinit(&single);
  parsing_deinit(&cut);
  parsing_deinit(&again);
  return 0;
}
