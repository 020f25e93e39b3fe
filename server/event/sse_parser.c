// SPDX-License-Identifier: MIT
// A line is read where it lies, and copied only where it is cut. What waits for the blank line that completes
// an event is bounded by event_max all together; at the end of a stream it is nobody's, as the standard has
// it.
#include "event/sse_parser.h"

enum { KEPT = 4096, MARK_LEN = 3 }; // KEPT: bytes of a buffer that the next event finds ready

static const char MARK[] = "\xEF\xBB\xBF";

void sse_parser_init(struct sse_parser *p, void (*on_event)(struct sse_parser *p, const struct sse_fields *f),
                     size_t event_max, struct span last_id) {
  *p = (struct sse_parser){.on_event = on_event, .event_max = event_max, .retry_ms = -1};
  buf_append_span(&p->id, last_id);
  buf_append_span(&p->last_id, last_id);
}

void sse_parser_deinit(struct sse_parser *p) {
  buf_deinit(&p->line);
  buf_deinit(&p->event);
  buf_deinit(&p->data);
  buf_deinit(&p->id);
  buf_deinit(&p->last_id);
}

static void set_text(struct buf *b, struct span text) {
  buf_reset(b, KEPT);
  buf_append_span(b, text);
}

static struct span text_or_absent(const struct buf *b) { return b->len ? buf_span(b) : (struct span){0}; }

// A blank line: the id counts from here on, and with data there is an event.
static void dispatch(struct sse_parser *p) {
  struct sse_fields f = SSE_NO_FIELDS;
  if (!span_equal(buf_span(&p->last_id), buf_span(&p->id))) set_text(&p->last_id, buf_span(&p->id));
  if (p->has_data) {
    f.event = text_or_absent(&p->event), f.id = text_or_absent(&p->id);
    f.data = p->data.len ? buf_span(&p->data) : SPAN("");
    p->on_event(p, &f);
    p->id_is_new = false;
  }
  p->has_data = false;
  buf_reset(&p->event, KEPT);
  buf_reset(&p->data, KEPT);
}

// Digits alone; more of them than a number has are as good as the largest.
static void take_retry(struct sse_parser *p, struct span digits) {
  int64_t value = 0;
  if (!digits.len) return;
  for (size_t i = 0; i < digits.len; i++) {
    int digit = digits.bytes[i] - '0';
    if (digit < 0 || digit > 9) return;
    value = value > (INT64_MAX - digit) / 10 ? INT64_MAX : value * 10 + digit;
  }
  p->retry_ms = value;
}

static void take_field(struct sse_parser *p, struct span name, struct span value) {
  if (span_equal(name, SPAN("data"))) {
    if (p->has_data) buf_append_byte(&p->data, '\n');
    buf_append_span(&p->data, value);
    p->has_data = true;
  } else if (span_equal(name, SPAN("event"))) set_text(&p->event, value);
  else if (span_equal(name, SPAN("id"))) {
    if (value.len && memchr(value.bytes, 0, value.len)) return;
    set_text(&p->id, value);
    p->id_is_new = true;
  } else if (span_equal(name, SPAN("retry"))) take_retry(p, value);
}

static void take_line(struct sse_parser *p, struct span line) {
  if (!line.len) {
    dispatch(p);
    return;
  }
  struct span name = span_split(&line, ':');
  if (line.len && line.bytes[0] == ' ') line.bytes++, line.len--;
  take_field(p, name, line);
}

// A line that is complete but for its beginning, which may have come before.
static void end_line(struct sse_parser *p, struct span rest) {
  if (!p->line.len) {
    take_line(p, rest);
    return;
  }
  buf_append_span(&p->line, rest);
  take_line(p, buf_span(&p->line));
  buf_reset(&p->line, KEPT);
}

// Leaves out a byte order mark at the very beginning. What only began like one is the beginning of a line.
static void skip_mark(struct sse_parser *p, struct span *in) {
  while (p->marked < MARK_LEN && in->len && in->bytes[0] == MARK[p->marked])
    p->marked++, in->bytes++, in->len--;
  if (p->marked < MARK_LEN && in->len) buf_append(&p->line, MARK, p->marked);
  if (p->marked == MARK_LEN || in->len) p->marked = MARK_LEN + 1;
}

static bool is_over(struct sse_parser *p, size_t more) {
  size_t waits = p->event.len + p->data.len + p->id.len + p->line.len;
  p->is_too_large |= waits + more > p->event_max;
  return p->is_too_large;
}

// The end of the line at `at`. The next LF is looked for once, however many CR are before it.
static const char *line_end(const char *at, const char *end, const char **lf) {
  if (!*lf || *lf < at) *lf = memchr(at, '\n', (size_t)(end - at));
  if (!*lf) *lf = end;
  const char *cr = memchr(at, '\r', (size_t)(*lf - at));
  return cr ? cr : *lf;
}

static void take_lines(struct sse_parser *p, struct span in) {
  const char *at = in.bytes, *end = at + in.len, *lf = NULL;
  while (at < end) {
    const char *stop = line_end(at, end, &lf);
    struct span part = {at, (size_t)(stop - at)};
    if (is_over(p, part.len)) return;
    if (stop == end) {
      buf_append_span(&p->line, part);
      return;
    }
    end_line(p, part);
    at = stop + 1;
    p->is_behind_cr = *stop == '\r' && at == end;
    if (*stop == '\r' && at < end && *at == '\n') at++;
  }
}

bool sse_parse(struct sse_parser *p, struct span bytes) {
  if (p->is_too_large) return false;
  if (p->marked <= MARK_LEN) skip_mark(p, &bytes);
  if (!bytes.len) return true;
  if (p->is_behind_cr && bytes.bytes[0] == '\n') bytes.bytes++, bytes.len--;
  p->is_behind_cr = false;
  take_lines(p, bytes);
  return !p->is_too_large;
}
