// SPDX-License-Identifier: MIT
// A second opinion: whatever request we complete, llhttp alone must complete too, at the same byte and with
// the same method, target, fields and body. A message that two parsers read differently is how requests are
// smuggled.
#include <llhttp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/buf.h"
#include "http/http1.h"

#define REQUIRE(condition)                                                                     \
  do {                                                                                         \
    if (!(condition)) fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), abort(); \
  } while (0)

enum { FIELDS_MAX = 200 };

struct reading {
  struct buf target, body, names[FIELDS_MAX], values[FIELDS_MAX];
  size_t field_count;
  bool in_value, in_body, ended;
};

static struct reading theirs;
static struct buf our_body;
static struct request *request;
static bool has_ended, was_refused;

static void forget(struct reading *r) {
  buf_deinit(&r->target);
  buf_deinit(&r->body);
  for (size_t i = 0; i < FIELDS_MAX; i++) buf_deinit(&r->names[i]), buf_deinit(&r->values[i]);
  *r = (struct reading){0};
}

static int on_url(llhttp_t *p, const char *at, size_t len) {
  (void)p;
  buf_append(&theirs.target, at, len);
  return 0;
}

// Trailer fields are nobody's.
static int on_name(llhttp_t *p, const char *at, size_t len) {
  (void)p;
  if (theirs.in_body) return 0;
  if (theirs.in_value) theirs.field_count++, theirs.in_value = false;
  REQUIRE(theirs.field_count < FIELDS_MAX);
  buf_append(&theirs.names[theirs.field_count], at, len);
  return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t len) {
  (void)p;
  if (theirs.in_body) return 0;
  theirs.in_value = true;
  buf_append(&theirs.values[theirs.field_count], at, len);
  return 0;
}

// Also of a field without a value, which has no span.
static int on_value_complete(llhttp_t *p) {
  (void)p;
  theirs.in_value = true;
  return 0;
}

static int on_headers_complete(llhttp_t *p) {
  if (theirs.in_value) theirs.field_count++, theirs.in_value = false;
  theirs.in_body = true;
  p->upgrade = 0; // which no server has to do
  return 0;
}

static int on_piece(llhttp_t *p, const char *at, size_t len) {
  (void)p;
  buf_append(&theirs.body, at, len);
  return 0;
}

static int on_complete(llhttp_t *p) {
  (void)p;
  theirs.ended = true;
  return HPE_PAUSED;
}

// It refuses extensions of chunks that are legal; nobody reads them.
static bool is_about_extension(const llhttp_t *p, struct span bytes) {
  const char *at = llhttp_get_error_pos(p), *line = at;
  if (!request->body || theirs.ended || !at || at <= bytes.bytes || at > bytes.bytes + bytes.len)
    return false;
  while (line > bytes.bytes && line[-1] != '\n') line--;
  return memchr(line, ';', (size_t)(at - line) + (at < bytes.bytes + bytes.len)) != NULL;
}

static void compare_adapted(struct span bytes) {
  llhttp_settings_t settings;
  llhttp_t p;
  llhttp_settings_init(&settings);
  settings.on_url = on_url, settings.on_header_field = on_name, settings.on_header_value = on_value;
  settings.on_header_value_complete = on_value_complete;
  settings.on_headers_complete = on_headers_complete, settings.on_body = on_piece;
  settings.on_message_complete = on_complete;
  llhttp_init(&p, HTTP_REQUEST, &settings);
  llhttp_errno_t code = llhttp_execute(&p, bytes.bytes, bytes.len);
  if (request->method == METHOD_OTHER || is_about_extension(&p, bytes)) { // it knows other methods
    forget(&theirs);
    return;
  }
  REQUIRE(theirs.ended && code == HPE_PAUSED);
  REQUIRE(llhttp_get_error_pos(&p) == bytes.bytes + bytes.len);
  const char *method = llhttp_method_name((llhttp_method_t)p.method);
  REQUIRE(span_equal(request->method_name, span_of(method)));
  REQUIRE(p.http_major == 1 && p.http_minor == request->minor);
  REQUIRE(span_equal(request->target, buf_span(&theirs.target)));
  REQUIRE(request->field_count == theirs.field_count);
  for (size_t i = 0; i < theirs.field_count; i++) {
    REQUIRE(span_equal_nocase(request->fields[i].name, buf_span(&theirs.names[i])));
    REQUIRE(span_equal(request->fields[i].value, span_trim(buf_span(&theirs.values[i]))));
  }
  REQUIRE(span_equal(buf_span(&our_body), buf_span(&theirs.body)));
  forget(&theirs);
}

// It knows neither versions from 1.2 nor tabs behind a Content-Length, which are legal: puts other bytes
// there.
static void adapt(char *at, const char *end) {
  while (end - at > 1 && at[0] == '\r' && at[1] == '\n') at += 2;
  for (bool first = true; at < end && *at != '\r'; first = false) {
    char *cr = memchr(at, '\r', (size_t)(end - at));
    if (first && cr[-1] > '1') cr[-1] = '1';
    for (char *blank = cr; blank[-1] == ' ' || blank[-1] == '\t';) *--blank = ' ';
    at = cr + 2;
  }
}

static void compare(struct span given) {
  char *copy = malloc(given.len + !given.len);
  memcpy(copy, given.bytes, given.len);
  adapt(copy, copy + given.len);
  compare_adapted((struct span){copy, given.len});
  free(copy);
}

static struct stream *on_request(struct proto *p, struct request *r) {
  (void)p;
  request = r;
  return NULL;
}

static void on_body(struct stream *s, struct span bytes) {
  (void)s;
  buf_append_span(&our_body, bytes);
}

static void on_body_end(struct stream *s) {
  (void)s;
  has_ended = true;
}

static void on_refused(struct proto *p, struct refusal r) {
  (void)p, (void)r;
  was_refused = true;
}

static void next_request(struct proto *p) {
  request_free(request);
  request = NULL, has_ended = false;
  buf_deinit(&our_body);
  struct response r = {.status = 204, .framing = FRAMING_NONE, .keep_alive = true};
  struct buf out = {0};
  p->ops->answer(p, NULL, &r, &out);
  p->ops->finish(p, NULL, ENDING_CLEAN);
  buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  static const struct proto_sink sink = {
      .on_request = on_request, .on_body = on_body, .on_body_end = on_body_end, .on_refused = on_refused};
  static const struct proto_limits limits = {16 << 10, 8 << 10, 100, 1 << 20};
  struct proto *p = http1_new(&sink, &limits);
  struct span in = {(const char *)bytes, len};
  was_refused = false;
  for (size_t begin = 0, at = 0; begin < len; begin = at) {
    for (size_t taken = 1; taken && !has_ended && !was_refused; at += taken)
      taken = p->ops->feed(p, in.bytes + at, len - at);
    if (!has_ended || was_refused) break;
    compare((struct span){in.bytes + begin, at - begin});
    next_request(p);
  }
  p->ops->free(p);
  request_free(request);
  request = NULL, has_ended = false;
  buf_deinit(&our_body);
  return 0;
}
