// SPDX-License-Identifier: MIT
// Events to bytes. Lines end in LF; every field is "name: value" with the blank, since some clients know only
// that form and it protects a value's own leading blank. CR, LF and CRLF in data each begin a new data line,
// as the parser at the other end would have it.
#include "event/sse.h"
#include <stdio.h>
#include "base/util.h"

struct line_reader {
  const char *at, *end, *cr, *lf; // cr, lf: the next of each at or behind `at`, or `end`
  bool done;
};

static const char *line_end_find(const char *from, const char *end, char byte) {
  const char *at = memchr(from, byte, (size_t)(end - from));
  return at ? at : end;
}

static struct line_reader lines_of(struct span text) {
  const char *end = text.bytes + text.len;
  return (struct line_reader){.at = text.bytes,
                              .end = end,
                              .cr = line_end_find(text.bytes, end, '\r'),
                              .lf = line_end_find(text.bytes, end, '\n')};
}

// The next line without its end; text without a line break is one line, also where it is empty.
static bool next_line(struct line_reader *r, struct span *line) {
  if (r->done) return false;
  const char *stop = MIN(r->cr, r->lf);
  *line = (struct span){r->at, (size_t)(stop - r->at)};
  r->done = stop == r->end;
  if (r->done) return true;
  bool is_crlf = stop == r->cr && stop + 1 == r->lf && r->lf < r->end;
  r->at = stop + (is_crlf ? 2 : 1);
  if (r->cr < r->at) r->cr = line_end_find(r->at, r->end, '\r');
  if (r->lf < r->at) r->lf = line_end_find(r->at, r->end, '\n');
  return true;
}

static bool has_break(struct span s) {
  return s.len && (memchr(s.bytes, '\n', s.len) || memchr(s.bytes, '\r', s.len));
}

bool sse_is_line(struct span data) { return !has_break(data); }

static bool has_nul(struct span s) { return s.len && memchr(s.bytes, 0, s.len); }

const char *sse_refusal(const struct sse_fields *f) {
  if (!f->comment.bytes && !f->event.bytes && !f->id.bytes && !f->data.bytes && f->retry_ms < 0)
    return "the event is empty: it needs data, event, id, retry or comment";
  if (has_break(f->comment)) return "'comment' must not contain a line break";
  if (has_break(f->event)) return "'event' must not contain a line break";
  if (has_break(f->id)) return "'id' must not contain a line break";
  if (has_nul(f->comment)) return "'comment' must not contain a NUL";
  if (has_nul(f->event)) return "'event' must not contain a NUL";
  if (has_nul(f->id)) return "'id' must not contain a NUL";
  return NULL;
}

static size_t decimal(int64_t n, char out[24]) { return (size_t)snprintf(out, 24, "%lld", (long long)n); }

size_t sse_length(const struct sse_fields *f) {
  size_t len = 1;
  char digits[24];
  struct span line;
  if (f->comment.bytes) len += (f->comment.len ? 3 : 2) + f->comment.len;
  if (f->event.bytes) len += 8 + f->event.len;
  if (f->id.bytes) len += 5 + f->id.len;
  if (f->retry_ms >= 0) len += 8 + decimal(f->retry_ms, digits);
  if (!f->data.bytes) return len;
  if (!has_break(f->data)) return len + 7 + f->data.len;
  for (struct line_reader r = lines_of(f->data); next_line(&r, &line);) len += 7 + line.len;
  return len;
}

static char *line_put(char *out, struct span prefix, struct span value) {
  memcpy(out, prefix.bytes, prefix.len);
  out += prefix.len;
  if (value.len) memcpy(out, value.bytes, value.len);
  out += value.len;
  *out++ = '\n';
  return out;
}

static char *put_data(char *out, struct span data) {
  struct span line;
  for (struct line_reader r = lines_of(data); next_line(&r, &line);)
    out = line_put(out, SPAN("data: "), line);
  return out;
}

struct event *sse_encode_line(struct slab *home, struct span data) {
  char *out;
  struct event *e = event_new_at(home, sse_line_length(data.len), &out);
  memcpy(out, "data: ", 6);
  if (data.len) memcpy(out + 6, data.bytes, data.len);
  memcpy(out + 6 + data.len, "\n\n", 2);
  return e;
}

struct event *sse_encode_at(struct slab *home, const struct sse_fields *f, size_t len) {
  char *out, digits[24];
  if (f->data.bytes && len == sse_line_length(f->data.len)) return sse_encode_line(home, f->data);
  struct event *e = event_new_at(home, len, &out);
  if (f->comment.bytes)
    out = f->comment.len ? line_put(out, SPAN(": "), f->comment) : line_put(out, SPAN(":"), SPAN(""));
  if (f->event.bytes) out = line_put(out, SPAN("event: "), f->event);
  if (f->id.bytes) out = line_put(out, SPAN("id: "), f->id);
  if (f->retry_ms >= 0)
    out = line_put(out, SPAN("retry: "), (struct span){digits, decimal(f->retry_ms, digits)});
  if (f->data.bytes) out = put_data(out, f->data);
  *out = '\n';
  return e;
}

struct event *sse_encode(const struct sse_fields *f, size_t len) {
  return sse_encode_at(NULL, f, len);
}
