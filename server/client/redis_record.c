// SPDX-License-Identifier: MIT
// An event is a byte with the format's version, one that says which fields it has, their lengths, then their
// texts, data last, before it the traceparent, whose length is known. The key that tells conflating events
// apart is there only where it is not that of the event's name. Lengths are 7 bits a byte, the lowest first.
#include "client/redis_record.h"
#include <stdio.h>
#include "base/digits.h"
#include "base/escape.h"
#include "base/map.h"
#include "event/event.h"

enum { VERSION = 1 };
enum { HAS_COMMENT = 1, HAS_EVENT = 2, HAS_DATA = 4, HAS_RETRY = 8, HAS_KEY = 16, HAS_TRACE = 32 };

void record_key(struct buf *b, struct span prefix, struct span name, enum redis_key key) {
  static const char letters[] = "smpqnve";
  buf_append_span(b, prefix);
  buf_append_span(b, SPAN(":{"));
  for (size_t i = 0; i < name.len; i++) {
    char c = name.bytes[i];
    if (c == '}' || c == '%') buf_append_span(b, c == '}' ? SPAN("%7D") : SPAN("%25"));
    else buf_append_byte(b, c);
  }
  buf_append_span(b, SPAN("}:"));
  buf_append_byte(b, letters[key]);
}

static void write_number(struct buf *b, uint64_t n) {
  for (; n > 127; n >>= 7) buf_append_byte(b, (char)(n | 128));
  buf_append_byte(b, (char)n);
}

static bool read_number(struct span *rest, uint64_t *n) {
  *n = 0;
  for (unsigned shift = 0; rest->len && shift < 64; shift += 7) {
    unsigned char c = (unsigned char)*rest->bytes++;
    rest->len--;
    *n |= (uint64_t)(c & 127) << shift;
    if (c < 128) return true;
  }
  return false;
}

static uint64_t usual_key(const struct sse_fields *f) {
  return hash_bytes(f->event.bytes ? f->event : SPAN(""), 0);
}

void record_write(struct buf *b, const struct sse_fields *f, uint64_t key) {
  bool has_key = key != usual_key(f), has_trace = f->trace.len == TRACE_LEN;
  buf_append_byte(b, VERSION);
  buf_append_byte(b, (char)((f->comment.bytes ? HAS_COMMENT : 0) | (f->event.bytes ? HAS_EVENT : 0) |
                            (f->data.bytes ? HAS_DATA : 0) | (f->retry_ms >= 0 ? HAS_RETRY : 0) |
                            (has_key ? HAS_KEY : 0) | (has_trace ? HAS_TRACE : 0)));
  if (f->comment.bytes) write_number(b, f->comment.len);
  if (f->event.bytes) write_number(b, f->event.len);
  if (f->retry_ms >= 0) write_number(b, (uint64_t)f->retry_ms);
  if (has_key) write_number(b, key);
  buf_append_span(b, f->comment);
  buf_append_span(b, f->event);
  if (has_trace) buf_append_span(b, f->trace);
  buf_append_span(b, f->data);
}

void record_member(struct buf *b, struct span event, struct span id, struct span meta) {
  struct buf json = {0};
  struct sse_fields f = SSE_NO_FIELDS;
  buf_append_span(&json, SPAN("{\"id\":\""));
  escape_quoted(&json, id, true);
  buf_append_byte(&json, '"');
  if (meta.len && !span_equal(meta, SPAN("null"))) {
    buf_append_span(&json, SPAN(",\"meta\":"));
    buf_append_span(&json, meta);
  }
  buf_append_byte(&json, '}');
  f.event = event, f.data = buf_span(&json);
  record_write(b, &f, usual_key(&f));
  buf_deinit(&json);
}

static bool take_text(struct span *rest, uint64_t len, struct span *text) {
  if (len > rest->len) return false;
  *text = (struct span){rest->bytes, (size_t)len};
  rest->bytes += len, rest->len -= (size_t)len;
  return true;
}

bool record_read(struct span bytes, struct sse_fields *f, uint64_t *key) {
  uint64_t comment = 0, event = 0, retry = 0;
  struct span rest = bytes;
  *f = SSE_NO_FIELDS;
  if (bytes.len < 2 || bytes.bytes[0] != VERSION) return false;
  unsigned has = (unsigned char)bytes.bytes[1];
  rest.bytes += 2, rest.len -= 2;
  bool ok = !(has & HAS_COMMENT) || read_number(&rest, &comment);
  ok = ok && (!(has & HAS_EVENT) || read_number(&rest, &event));
  ok = ok && (!(has & HAS_RETRY) || (read_number(&rest, &retry) && retry <= INT64_MAX));
  ok = ok && (!(has & HAS_KEY) || read_number(&rest, key));
  ok = ok && (!(has & HAS_COMMENT) || take_text(&rest, comment, &f->comment));
  ok = ok && (!(has & HAS_EVENT) || take_text(&rest, event, &f->event));
  ok = ok && (!(has & HAS_TRACE) || take_text(&rest, TRACE_LEN, &f->trace));
  if (!ok) return false;
  if (has & HAS_DATA) f->data = rest;
  if (has & HAS_RETRY) f->retry_ms = (int64_t)retry;
  if (!(has & HAS_KEY)) *key = usual_key(f);
  return !sse_refusal(f);
}

size_t record_id(struct position p, char id[POSITION_TEXT_MAX]) {
  return (size_t)snprintf(id, POSITION_TEXT_MAX, "%llu-%llu", (unsigned long long)p.epoch,
                          (unsigned long long)p.seq);
}

bool record_position(struct span id, struct position *p) {
  struct span rest = id, epoch = span_split(&rest, '-');
  return decimal_read(epoch, UINT64_MAX, &p->epoch) && decimal_read(rest, UINT64_MAX, &p->seq);
}
