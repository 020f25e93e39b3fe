// SPDX-License-Identifier: MIT
// nghttp2 checks nothing of what goes out, and copies it, with names in lower case. The fields of a
// connection have no place in HTTP/2 (RFC 9113 8.2.2): they are left out. Framing fields come from here
// alone; the caller's must hold none of them, nor line ends.
#include "http/http2_answer.h"
#include <stdlib.h>
#include "base/mem.h"
#include "base/util.h"
#include "http/http2_read.h"

enum { STATUS_DIGITS = 3, LENGTH_DIGITS_MAX = 20, OWN_FIELDS = 3, FEW_FIELDS = 32 };

struct head_text {
  char status[STATUS_DIGITS], length[LENGTH_DIGITS_MAX];
};

static nghttp2_nv nv_of(struct span name, struct span value) {
  return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.bytes,
                      .value = (uint8_t *)(uintptr_t)value.bytes,
                      .namelen = name.len,
                      .valuelen = value.len};
}

static struct span put_status(char out[STATUS_DIGITS], int status) {
  out[0] = (char)('0' + status / 100), out[1] = (char)('0' + status / 10 % 10);
  out[2] = (char)('0' + status % 10);
  return (struct span){out, STATUS_DIGITS};
}

static struct span put_length(char out[LENGTH_DIGITS_MAX], uint64_t length) {
  size_t at = LENGTH_DIGITS_MAX;
  do out[--at] = (char)('0' + length % 10);
  while (length /= 10);
  return (struct span){out + at, LENGTH_DIGITS_MAX - at};
}

static bool says_length(const struct response *r) {
  return r->framing == FRAMING_LENGTH || (r->framing == FRAMING_NONE && r->has_length);
}

static bool belongs_to_connection(struct span name) {
  static const char *const names[] = {"upgrade", "connection", "keep-alive", "proxy-connection",
                                      "transfer-encoding"};
  for (size_t i = 0; i < countof(names); i++)
    if (span_equal_nocase(name, span_of(names[i]))) return true;
  return false;
}

static size_t put_fields(nghttp2_nv *nva, const struct response *r, struct head_text *text) {
  size_t n = 0;
  nva[n++] = nv_of(SPAN(":status"), put_status(text->status, r->status));
  if (r->date.len) nva[n++] = nv_of(SPAN("date"), r->date);
  for (size_t i = 0; i < r->field_count; i++) {
    const struct field *f = &r->fields[i];
    if (!belongs_to_connection(f->name)) nva[n++] = nv_of(f->name, f->value);
  }
  if (says_length(r)) nva[n++] = nv_of(SPAN("content-length"), put_length(text->length, r->content_length));
  return n;
}

void http2_submit_head(struct http2 *h, struct http2_stream *s, const struct response *r, bool has_body) {
  struct head_text text;
  nghttp2_nv few[FEW_FIELDS], *nva = few;
  nghttp2_data_provider body = {.source = {.ptr = s}, .read_callback = http2_read};
  if (r->field_count + OWN_FIELDS > FEW_FIELDS) nva = xcalloc(r->field_count + OWN_FIELDS, sizeof *nva);
  size_t n = put_fields(nva, r, &text);
  s->is_answered = true, s->is_ended = !has_body, s->has_length = r->framing == FRAMING_LENGTH;
  nghttp2_submit_response(h->session, s->id, nva, n, has_body ? &body : NULL);
  if (nva != few) free(nva);
}

void http2_decline(struct http2 *h, struct http2_stream *s, struct refusal refusal) {
  const struct field type = {SPAN("content-type"), SPAN("text/plain; charset=utf-8")};
  struct response r = {.status = refusal.status,
                       .framing = FRAMING_LENGTH,
                       .content_length = strlen(refusal.why) + 1,
                       .fields = &type,
                       .field_count = 1};
  s->refusal = refusal.why;
  http2_submit_head(h, s, &r, true);
  h->proto.sink->on_declined(&h->proto, refusal);
}

void http2_submit_interim(struct http2 *h, struct http2_stream *s, int status) {
  char text[STATUS_DIGITS];
  nghttp2_nv nv = nv_of(SPAN(":status"), put_status(text, status));
  nghttp2_submit_headers(h->session, NGHTTP2_FLAG_NONE, s->id, NULL, &nv, 1, NULL);
}
