// SPDX-License-Identifier: MIT
// Encodes events of random fields. What is refused must be refused for a reason that a slow look at the
// fields finds too; what is encoded must come out of a parser written from WHATWG HTML 9.2.6 as it went in,
// and out of our own reader.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/buf.h"
#include "event/event_text.h"
#include "event/sse.h"

#define REQUIRE(condition)                                                                     \
  do {                                                                                         \
    if (!(condition)) fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), abort(); \
  } while (0)

struct input {
  const uint8_t *bytes;
  size_t len;
};

static uint8_t take_byte(struct input *in) {
  if (!in->len) return 0;
  in->len--;
  return *in->bytes++;
}

// A field of its own allocation; absent, or up to 255 bytes.
static struct span take_field(struct input *in) {
  size_t len = take_byte(in);
  if (len == 255) return (struct span){0};
  if (len > in->len) len = in->len;
  char *bytes = malloc(len + !len);
  if (len) memcpy(bytes, in->bytes, len);
  in->bytes += len, in->len -= len;
  return (struct span){bytes, len};
}

static bool has_any(struct span s, const char *set, size_t count) {
  for (size_t i = 0; i < s.len; i++)
    if (memchr(set, s.bytes[i], count)) return true;
  return false;
}

static bool is_refusable(const struct sse_fields *f) {
  bool nothing = !f->comment.bytes && !f->event.bytes && !f->id.bytes && !f->data.bytes && f->retry_ms < 0;
  return nothing || has_any(f->comment, "\r\n", 3) || has_any(f->event, "\r\n", 3) ||
         has_any(f->id, "\r\n", 3);
}

// What a client understands.
struct parsed {
  struct buf data, event, id, comment;
  bool has_data, has_event, has_id, has_comment;
  int64_t retry;
  size_t blank_lines;
};

static void take_line(struct parsed *p, struct span line) {
  const char *colon = line.len ? memchr(line.bytes, ':', line.len) : NULL;
  struct span name = {line.bytes, colon ? (size_t)(colon - line.bytes) : line.len}, value = {0};
  if (colon) value = (struct span){colon + 1, line.len - name.len - 1};
  if (value.len && value.bytes[0] == ' ') value.bytes++, value.len--;
  if (!line.len) p->blank_lines++;
  else if (colon && !name.len) {
    REQUIRE(!p->has_comment);
    p->has_comment = true, buf_append_span(&p->comment, value);
  } else if (span_equal(name, SPAN("data"))) {
    if (p->has_data) buf_append(&p->data, "\n", 1);
    p->has_data = true, buf_append_span(&p->data, value);
  } else if (span_equal(name, SPAN("event"))) {
    REQUIRE(!p->has_event);
    p->has_event = true, buf_append_span(&p->event, value);
  } else if (span_equal(name, SPAN("id"))) {
    REQUIRE(!p->has_id);
    p->has_id = true, buf_append_span(&p->id, value);
  } else if (span_equal(name, SPAN("retry"))) {
    p->retry = 0;
    for (size_t i = 0; i < value.len; i++) p->retry = p->retry * 10 + (value.bytes[i] - '0');
  } else REQUIRE(!"a field with another name");
}

static void parse(struct parsed *p, struct span s) {
  size_t from = 0;
  for (size_t i = 0; i < s.len; i++) {
    if (s.bytes[i] != '\r' && s.bytes[i] != '\n') continue;
    take_line(p, (struct span){s.bytes + from, i - from});
    if (s.bytes[i] == '\r' && i + 1 < s.len && s.bytes[i + 1] == '\n') i++;
    from = i + 1;
  }
  REQUIRE(from == s.len);
}

// Line ends as a client sees them: each is LF.
static struct buf with_lf(struct span s) {
  struct buf b = {0};
  for (size_t i = 0; i < s.len; i++) {
    bool is_crlf = s.bytes[i] == '\r' && i + 1 < s.len && s.bytes[i + 1] == '\n';
    if (!is_crlf) buf_append(&b, s.bytes[i] == '\r' ? "\n" : s.bytes + i, 1);
  }
  return b;
}

static void check_frame(const struct event *e) {
  char size[24];
  int len = snprintf(size, sizeof size, "%zx\r\n", event_bare_len(e));
  REQUIRE(e->bare_at == (uint32_t)len && e->len == e->bare_at + event_bare_len(e) + 2);
  REQUIRE(!memcmp(e->bytes, size, (size_t)len) && !memcmp(e->bytes + e->len - 2, "\r\n", 2));
}

static void check_reader(const struct event *e, const struct parsed *p) {
  struct event_text_reader r = {event_text(e)};
  struct span name, value;
  struct buf data = {0};
  size_t lines = 0;
  while (event_text_next(&r, &name, &value)) {
    if (span_equal(name, SPAN("comment"))) REQUIRE(span_equal(value, buf_span(&p->comment)));
    if (span_equal(name, SPAN("event"))) REQUIRE(span_equal(value, buf_span(&p->event)));
    if (span_equal(name, SPAN("id"))) REQUIRE(span_equal(value, buf_span(&p->id)));
    if (!span_equal(name, SPAN("data"))) continue;
    if (lines++) buf_append(&data, "\n", 1);
    buf_append_span(&data, value);
  }
  REQUIRE((lines > 0) == p->has_data && span_equal(buf_span(&data), buf_span(&p->data)));
  buf_deinit(&data);
}

static void check_encoded(const struct sse_fields *f) {
  size_t len = sse_length(f);
  struct event *e = sse_encode(f, len);
  struct parsed p = {.retry = -1};
  struct buf data = with_lf(f->data);
  REQUIRE(event_bare_len(e) == len);
  check_frame(e);
  parse(&p, (struct span){e->bytes + e->bare_at, event_bare_len(e)});
  REQUIRE(p.blank_lines == 1);
  REQUIRE(p.has_data == (f->data.bytes != NULL) && span_equal(buf_span(&p.data), buf_span(&data)));
  REQUIRE(p.has_event == (f->event.bytes != NULL) && span_equal(buf_span(&p.event), f->event));
  REQUIRE(p.has_id == (f->id.bytes != NULL) && span_equal(buf_span(&p.id), f->id));
  REQUIRE(p.has_comment == (f->comment.bytes != NULL) && span_equal(buf_span(&p.comment), f->comment));
  REQUIRE(p.retry == (f->retry_ms < 0 ? -1 : f->retry_ms));
  check_reader(e, &p);
  event_unref(e);
  buf_deinit(&data);
  buf_deinit(&p.data);
  buf_deinit(&p.event);
  buf_deinit(&p.id);
  buf_deinit(&p.comment);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  struct input in = {bytes, len};
  struct sse_fields f = SSE_NO_FIELDS;
  int retry = take_byte(&in);
  if (retry & 1) f.retry_ms = (int64_t)retry << (retry % 40);
  f.comment = take_field(&in), f.event = take_field(&in), f.id = take_field(&in), f.data = take_field(&in);
  bool refused = sse_refusal(&f) != NULL;
  REQUIRE(refused == is_refusable(&f));
  if (!refused) check_encoded(&f);
  free((void *)(uintptr_t)f.comment.bytes);
  free((void *)(uintptr_t)f.event.bytes);
  free((void *)(uintptr_t)f.id.bytes);
  free((void *)(uintptr_t)f.data.bytes);
  return 0;
}
