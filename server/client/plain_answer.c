// SPDX-License-Identifier: MIT
// A head is read as leniently as browsers do: lines may end in LF alone, and what is no field is passed over
// by who looks for fields. What says how long the body is must be in order: whoever takes that otherwise than
// the next one reads another answer.
#include "client/plain_answer.h"
#include <stdio.h>
#include "base/digits.h"
#include "serve/service.h"

enum { INTERIM_MAX = 64 };

static const struct proto_limits chunk_limits = {.chunk_extensions = 64 << 10};

void plain_answer_begin(struct plain_answer *a) {
  struct buf line = a->line;
  line.len = 0;
  *a = (struct plain_answer){.line = line, .chunked = CHUNKED_START};
  a->chunked.takes_blanks = true;
}

void plain_answer_deinit(struct plain_answer *a) { buf_deinit(&a->line); }

static const struct settings *settings_of(const struct transfer *t) {
  return t->fetch.fetcher->service->settings;
}

static bool refuse(struct transfer *t, enum fetch_error error, const char *why) {
  if (!t->error) snprintf(t->text, sizeof t->text, "%s", why);
  return transfer_give_up(t, error);
}

// "HTTP/1.x NNN"
static bool take_status(struct plain_answer *a, struct transfer *t, struct span line) {
  bool ok = line.len >= 12 && !memcmp(line.bytes, "HTTP/1.", 7) && line.bytes[8] == ' ';
  for (size_t i = 9; ok && i < 12; i++) ok = line.bytes[i] >= '0' && line.bytes[i] <= '9';
  if (!ok) return refuse(t, FETCH_PROTOCOL, "what came is no answer of HTTP/1");
  a->is_old = line.bytes[7] == '0', a->state = ANSWER_HEAD;
  return transfer_take_line(t, line);
}

static bool has_token(struct span list, struct span token) {
  while (list.len)
    if (span_equal_nocase(span_trim(span_split(&list, ',')), token)) return true;
  return false;
}

// Whether a field of the name has the token in its list.
static bool fields_have(const struct fetch *f, struct span name, struct span token) {
  for (size_t i = 0; i < f->field_count; i++)
    if (span_equal_nocase(f->fields[i].name, name) && has_token(f->fields[i].value, token)) return true;
  return false;
}

// How many transfer codings there are but identity, which is none.
static size_t count_codings(const struct fetch *f) {
  size_t n = 0;
  for (size_t i = 0; i < f->field_count; i++) {
    struct span rest = f->fields[i].value;
    if (!span_equal_nocase(f->fields[i].name, SPAN("transfer-encoding"))) continue;
    do n += !span_equal_nocase(span_trim(span_split(&rest, ',')), SPAN("identity"));
    while (rest.len);
  }
  return n;
}

// The length that all Content-Lengths agree on; -1: there is none, -2: they do not, or are no numbers.
static int64_t length_of(const struct fetch *f) {
  int64_t length = -1;
  for (size_t i = 0; i < f->field_count; i++) {
    struct span rest = f->fields[i].value;
    if (!span_equal_nocase(f->fields[i].name, SPAN("content-length"))) continue;
    do {
      uint64_t n;
      if (!decimal_read(span_trim(span_split(&rest, ',')), INT64_MAX, &n)) return -2;
      if (length >= 0 && (uint64_t)length != n) return -2;
      length = (int64_t)n;
    } while (rest.len);
  }
  return length;
}

// How the body is framed (RFC 9112 6.3).
static bool choose_framing(struct plain_answer *a, struct transfer *t) {
  const struct fetch *f = &t->fetch;
  size_t codings = count_codings(f);
  int64_t length = length_of(f);
  a->keeps = a->is_old ? fields_have(f, SPAN("connection"), SPAN("keep-alive"))
                       : !fields_have(f, SPAN("connection"), SPAN("close"));
  if (!strcmp(t->hop.method, "HEAD") || f->status == 204 || f->status == 304) a->state = ANSWER_DONE;
  else if (codings) {
    if (codings > 1 || !fields_have(f, SPAN("transfer-encoding"), SPAN("chunked")))
      return refuse(t, FETCH_PROTOCOL, "a transfer coding that was not asked for");
    a->state = ANSWER_CHUNKED;
    a->keeps &= length == -1 && !a->is_old; // both may be an attempt to have two answers taken for one
  } else if (length == -2) return refuse(t, FETCH_PROTOCOL, "a Content-Length that says nothing");
  else if (length >= 0) a->left = (uint64_t)length, a->state = length ? ANSWER_LENGTH : ANSWER_DONE;
  else a->state = ANSWER_TO_CLOSE, a->keeps = false;
  return true;
}

static bool end_answer_head(struct plain_answer *a, struct transfer *t) {
  int status = t->fetch.status;
  if (status == 101) return refuse(t, FETCH_PROTOCOL, "the server speaks another protocol now");
  if (!transfer_take_line(t, SPAN(""))) return false;
  if (status < 200) {
    a->state = ANSWER_STATUS;
    return ++a->interim <= INTERIM_MAX || refuse(t, FETCH_PROTOCOL, "interim answers without end");
  }
  return choose_framing(a, t);
}

static bool take_answer_line(struct plain_answer *a, struct transfer *t, struct span line) {
  if (line.len && line.bytes[line.len - 1] == '\r') line.len--;
  a->has_begun = true;
  if (a->state == ANSWER_TRAILER) {
    if (!line.len) a->state = ANSWER_DONE;
    return (a->trailer += line.len) <= settings_of(t)->limits.http_head ||
           refuse(t, FETCH_TOO_LARGE, "a trailer larger than limits.http_head");
  }
  if (a->state == ANSWER_STATUS) return take_status(a, t, line);
  if (!line.len) return end_answer_head(a, t);
  if (line.len > 5 && !memcmp(line.bytes, "HTTP/", 5))
    return refuse(t, FETCH_PROTOCOL, "a head within a head");
  return transfer_take_line(t, line);
}

// A line, or the part of one that has come.
static bool take_text(struct plain_answer *a, struct transfer *t, struct span *in) {
  const char *feed = memchr(in->bytes, '\n', in->len);
  struct span line = {in->bytes, feed ? (size_t)(feed - in->bytes) : in->len};
  if (a->line.len + line.len > settings_of(t)->limits.http_head) return transfer_give_up(t, FETCH_TOO_LARGE);
  in->bytes += line.len + (feed != NULL), in->len -= line.len + (feed != NULL);
  if (feed && !a->line.len) return take_answer_line(a, t, line);
  buf_append_span(&a->line, line);
  if (!feed) return true;
  line = buf_span(&a->line);
  a->line.len = 0; // its bytes stay
  return take_answer_line(a, t, line);
}

static bool take_chunk(struct plain_answer *a, struct transfer *t, struct span *in) {
  struct refusal refusal = ACCEPTED;
  struct span data;
  size_t n = chunked_take(&a->chunked, *in, &chunk_limits, &data, &refusal);
  in->bytes += n, in->len -= n;
  if (refusal.status) return refuse(t, FETCH_CLOSED, "a malformed chunk in the answer");
  if (a->chunked.state == CHUNKED_DONE) a->state = ANSWER_TRAILER;
  if (data.len) a->chunked.extension_len = 0; // a stream may go on for ever: each chunk has its own
  return !data.len || transfer_take_body(t, data);
}

static bool take_plain_body(struct plain_answer *a, struct transfer *t, struct span *in) {
  bool is_known = a->state == ANSWER_LENGTH;
  struct span data = {in->bytes, is_known ? (size_t)MIN(a->left, (uint64_t)in->len) : in->len};
  in->bytes += data.len, in->len -= data.len;
  if (is_known && !(a->left -= data.len)) a->state = ANSWER_DONE;
  return transfer_take_body(t, data);
}

static bool is_in_body(const struct plain_answer *a) {
  return a->state == ANSWER_LENGTH || a->state == ANSWER_CHUNKED || a->state == ANSWER_TO_CLOSE;
}

enum answer_outcome plain_answer_take(struct plain_answer *a, struct transfer *t, struct span *in) {
  bool ok = true;
  while (ok && in->len && a->state != ANSWER_DONE) {
    if (is_in_body(a) && t->fetch.is_paused && !t->is_redirect) return ANSWER_HELD;
    if (!is_in_body(a)) ok = take_text(a, t, in);
    else ok = a->state == ANSWER_CHUNKED ? take_chunk(a, t, in) : take_plain_body(a, t, in);
  }
  if (!ok || t->is_doomed) return ANSWER_REFUSED;
  return a->state == ANSWER_DONE ? ANSWER_COMPLETE : ANSWER_GOES_ON;
}
