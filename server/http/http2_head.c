// SPDX-License-Identifier: MIT
// Fields are copied one behind the other while they come, and the request gets them in one allocation, as
// that of HTTP/1 has them: in order, names in lower case, Host first where only :authority came. Nothing is
// taken on trust of the library: bytes are judged by the classes of the guard, meaning by the same check.
#include "http/http2_head.h"
#include <string.h>
#include "base/mem.h"
#include "http/head.h"
#include "http/head_guard.h"

enum { FIELD_COST = 32 }; // RFC 9113 6.5.2

void http2_head_begin(struct http2_head *h) {
  h->text.len = h->list.len = h->cookies.len = 0;
  h->method = h->target = h->authority = (struct http2_piece){};
  h->size = 0;
  h->refusal = ACCEPTED;
}

void http2_head_deinit(struct http2_head *h) {
  buf_deinit(&h->text);
  buf_deinit(&h->list);
  buf_deinit(&h->cookies);
}

static struct http2_piece add_text(struct http2_head *h, struct span s) {
  struct http2_piece piece = {(uint32_t)h->text.len, (uint32_t)s.len};
  buf_append_span(&h->text, s);
  return piece;
}

static size_t field_count(const struct http2_head *h) { return h->list.len / sizeof(struct http2_piece) / 2; }

static void add_field(struct http2_head *h, struct span name, struct span value) {
  struct http2_piece pieces[2] = {add_text(h, name)};
  pieces[1] = add_text(h, value);
  buf_append(&h->list, pieces, sizeof pieces);
}

static void add_cookie(struct http2_head *h, struct span value) {
  if (h->cookies.len) buf_append_span(&h->cookies, SPAN("; "));
  buf_append_span(&h->cookies, value);
}

static bool all_of(struct span s, bool (*is)(unsigned char byte)) {
  for (size_t i = 0; i < s.len; i++)
    if (!is((unsigned char)s.bytes[i])) return false;
  return true;
}

static struct refusal check_method(struct span value) {
  if (!all_of(value, is_tchar)) return REFUSED(400, "bad method");
  return value.len > METHOD_NAME_MAX ? REFUSED(501, "unknown method") : ACCEPTED;
}

static struct refusal check_target(struct span value, const struct proto_limits *limits) {
  if (!all_of(value, is_target_byte)) return REFUSED(400, "bad request target");
  return value.len > limits->target ? REFUSED_BY(LIMIT_TARGET, 414, "request target too long") : ACCEPTED;
}

static void add_pseudo(struct http2_head *h, struct span name, struct span value,
                       const struct proto_limits *limits) {
  if (span_equal(name, SPAN(":method"))) {
    h->refusal = check_method(value);
    h->method = add_text(h, value);
  } else if (span_equal(name, SPAN(":path"))) {
    h->refusal = check_target(value, limits);
    h->target = add_text(h, value);
  } else if (span_equal(name, SPAN(":authority"))) {
    h->authority = add_text(h, value); // judged as Host is, which it becomes or has to match
  }
}

void http2_head_add(struct http2_head *h, struct span name, struct span value,
                    const struct proto_limits *limits) {
  h->size += name.len + value.len + FIELD_COST;
  if (h->refusal.status) return;
  if (h->size > limits->head) h->refusal = REFUSED_BY(LIMIT_HEAD, 431, "request head too large");
  else if (name.len && name.bytes[0] == ':') add_pseudo(h, name, value, limits);
  else if (!name.len || !all_of(name, is_tchar) || !all_of(value, is_value_byte))
    h->refusal = REFUSED(400, "bad field");
  else if (span_equal(name, SPAN("cookie"))) add_cookie(h, value);
  else if (field_count(h) >= limits->fields) h->refusal = REFUSED_BY(LIMIT_FIELDS, 431, "too many fields");
  else add_field(h, name, value);
}

static struct span text_of(const struct http2_head *h, struct http2_piece piece) {
  return piece.len ? (struct span){h->text.bytes + piece.at, piece.len} : SPAN("");
}

// The Host field of a request that has none is what :authority says; of one that has both they are the same
// (RFC 9113 8.3.1), or others along the way might serve another site.
static struct refusal match_host(const struct http2_head *h, const struct request *r, bool *adds) {
  struct span host = request_field(r, SPAN("host")), authority = text_of(h, h->authority);
  *adds = !host.bytes && authority.len;
  bool differ = host.bytes && authority.len && !span_equal_nocase(host, span_trim(authority));
  return differ ? REFUSED(400, ":authority and Host differ") : ACCEPTED;
}

// A request with room for two fields more than have come.
static struct request *make_request(const struct http2_head *h) {
  size_t bytes_len = h->text.len + h->cookies.len;
  size_t fields_at = ROUND_UP(sizeof(struct request) + bytes_len, _Alignof(struct field));
  struct request *r = xmalloc(fields_at + (field_count(h) + 2) * sizeof(struct field));
  *r = (struct request){
      .minor = 1, .is_http2 = true, .fields = (struct field *)(void *)((char *)r + fields_at)};
  if (h->text.len) memcpy(r->bytes, h->text.bytes, h->text.len);
  if (h->cookies.len) memcpy(r->bytes + h->text.len, h->cookies.bytes, h->cookies.len);
  return r;
}

static struct span span_in(const struct request *r, struct http2_piece piece) {
  return (struct span){r->bytes + piece.at, piece.len};
}

static void add_fields(const struct http2_head *h, struct request *r) {
  const struct http2_piece *pieces = (const struct http2_piece *)(const void *)h->list.bytes;
  for (size_t i = 0; i < field_count(h); i++)
    r->fields[r->field_count++] = (struct field){span_in(r, pieces[2 * i]), span_in(r, pieces[2 * i + 1])};
  if (h->cookies.len)
    r->fields[r->field_count++] = (struct field){SPAN("cookie"), {r->bytes + h->text.len, h->cookies.len}};
}

static void add_host(const struct http2_head *h, struct request *r) {
  memmove(r->fields + 1, r->fields, r->field_count * sizeof *r->fields);
  r->fields[0] = (struct field){SPAN("host"), span_in(r, h->authority)};
  r->field_count++;
}

// A body whose length the head does not say is as one in chunks; one that is said, and is not to come, is
// nghttp2's to refuse.
static void set_body(struct request *r, bool has_body) {
  if (has_body && r->body == BODY_NONE) r->body = BODY_CHUNKED;
}

static struct refusal judge(const struct http2_head *h, struct request *r, bool has_body) {
  bool adds_host;
  r->method = (uint8_t)method_of(r->method_name);
  struct refusal refusal = match_host(h, r, &adds_host);
  if (refusal.status) return refusal;
  if (adds_host) add_host(h, r);
  refusal = head_check(r);
  if (refusal.status) return refusal;
  set_body(r, has_body);
  return ACCEPTED;
}

struct refusal http2_head_finish(struct http2_head *h, bool has_body, struct request **out) {
  *out = NULL;
  struct span method = text_of(h, h->method);
  if (h->refusal.status) return h->refusal;
  if (span_equal(method, SPAN("CONNECT")) || span_equal(method, SPAN("TRACE")))
    return REFUSED(405, "method not allowed");
  if (!method.len || !h->target.len) return REFUSED(400, "bad request");
  struct request *r = make_request(h);
  r->method_name = span_in(r, h->method), r->target = span_in(r, h->target);
  add_fields(h, r);
  struct refusal refusal = judge(h, r, has_body);
  if (refusal.status) request_free(r);
  else *out = r;
  return refusal;
}
