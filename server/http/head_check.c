// SPDX-License-Identifier: MIT
// A parser takes much that two servers in a row could read in two ways. Here a head has one meaning or is
// refused: one Host, one length, `chunked` and nothing else, a target in a form that its method allows.
// Connection is read here because llhttp misses some spellings of it. Nothing is assumed of the bytes beyond
// what the guard grants.
#include "base/digits.h"
#include "http/authority.h"
#include "http/head.h"

struct summary {
  unsigned hosts, lengths, codings;
  struct span host, length, coding;
  bool close, keep_alive, expect_continue, expect_other;
};

static void note_connection(struct summary *s, struct span value) {
  while (value.len) {
    struct span token = span_trim(span_split(&value, ','));
    if (span_equal_nocase(token, SPAN("close"))) s->close = true;
    if (span_equal_nocase(token, SPAN("keep-alive"))) s->keep_alive = true;
  }
}

static void note_field(struct summary *s, const struct field *f) {
  if (span_equal(f->name, SPAN("host"))) s->hosts++, s->host = f->value;
  else if (span_equal(f->name, SPAN("content-length"))) s->lengths++, s->length = f->value;
  else if (span_equal(f->name, SPAN("transfer-encoding"))) s->codings++, s->coding = f->value;
  else if (span_equal(f->name, SPAN("connection"))) note_connection(s, f->value);
  else if (span_equal(f->name, SPAN("expect"))) {
    if (span_equal_nocase(f->value, SPAN("100-continue"))) s->expect_continue = true;
    else s->expect_other = true;
  }
}

static struct refusal check_host(struct request *r, const struct summary *s) {
  if (s->hosts > 1) return REFUSED(400, "more than one Host");
  if (!s->hosts && r->minor >= 1) return REFUSED(400, "no Host");
  if (s->hosts && !is_authority(s->host)) return REFUSED(400, "bad Host");
  r->host = s->host;
  return ACCEPTED;
}

static void split_target(struct request *r, struct span target) {
  r->path = span_split(&target, '?');
  r->query = target;
}

static bool skip_prefix_nocase(struct span *s, struct span prefix) {
  if (!span_starts_with_nocase(*s, prefix)) return false;
  *s = span_behind(*s, prefix.len);
  return true;
}

// Its authority takes the place of the Host field (RFC 9112 3.2.2).
static struct refusal check_absolute(struct request *r) {
  struct span rest = r->target;
  if (!skip_prefix_nocase(&rest, SPAN("http://")) && !skip_prefix_nocase(&rest, SPAN("https://")))
    return REFUSED(400, "bad request target");
  size_t len = 0;
  while (len < rest.len && rest.bytes[len] != '/' && rest.bytes[len] != '?') len++;
  r->host = (struct span){rest.bytes, len};
  if (!is_authority(r->host)) return REFUSED(400, "bad authority in the request target");
  split_target(r, (struct span){rest.bytes + len, rest.len - len});
  bool whole_server = r->method == METHOD_OPTIONS && len == rest.len;
  if (!r->path.len) r->path = whole_server ? SPAN("*") : SPAN("/");
  return ACCEPTED;
}

static struct refusal check_target(struct request *r) {
  if (r->target.len && r->target.bytes[0] == '/') {
    split_target(r, r->target);
    return ACCEPTED;
  }
  if (!span_equal(r->target, SPAN("*"))) return check_absolute(r);
  r->path = r->target;
  return r->method == METHOD_OPTIONS ? ACCEPTED : REFUSED(400, "bad request target");
}

static struct refusal check_length(struct request *r, const struct summary *s) {
  uint64_t length;
  if (s->lengths > 1 || !decimal_read(s->length, UINT64_MAX, &length))
    return REFUSED(400, "bad Content-Length");
  r->body = BODY_LENGTH;
  r->content_length = length;
  return ACCEPTED;
}

static struct refusal check_body(struct request *r, const struct summary *s) {
  if (s->codings && s->lengths) return REFUSED(400, "Content-Length and Transfer-Encoding");
  if (s->codings && r->minor == 0) return REFUSED(400, "Transfer-Encoding in HTTP/1.0");
  if (s->codings > 1 || (s->codings && !span_equal_nocase(s->coding, SPAN("chunked"))))
    return REFUSED(501, "unknown transfer coding");
  if (s->lengths) return check_length(r, s);
  r->body = s->codings ? BODY_CHUNKED : BODY_NONE;
  return ACCEPTED;
}

struct refusal head_check(struct request *r) {
  struct summary summary = {0};
  for (size_t i = 0; i < r->field_count; i++) note_field(&summary, &r->fields[i]);
  struct refusal refusal = check_host(r, &summary);
  if (!refusal.status) refusal = check_target(r);
  if (!refusal.status) refusal = check_body(r, &summary);
  if (refusal.status) return refusal;
  if (summary.expect_other) return REFUSED(417, "unknown expectation");
  r->expect_continue = summary.expect_continue && r->minor >= 1;
  r->keep_alive = !summary.close && (r->minor >= 1 || summary.keep_alive);
  return ACCEPTED;
}
