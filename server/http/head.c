// SPDX-License-Identifier: MIT
// The request line is judged before llhttp, which knows methods and versions of other protocols and changes
// its manner with them. Then a fresh parser runs over the request's own copy of the head and is paused where
// the head ends, so that it never sees a body, an upgrade or a second request. Its callbacks only note where
// things lie. The guard counted the fields, so one allocation holds the head and the array behind it; a
// parser that sees another number of fields than the guard did is not believed.
#include "http/head.h"
#include <llhttp.h>
#include "base/mem.h"
#include "base/util.h"

struct collector {
  struct request *request;
  size_t field_max;
};

static void head_grow(struct span *s, const char *at, size_t len) {
  if (!s->len) s->bytes = at;
  s->len = (size_t)(at + len - s->bytes);
}

static int on_url(llhttp_t *parser, const char *at, size_t len) {
  struct collector *c = parser->data;
  head_grow(&c->request->target, at, len);
  return 0;
}

// The parser is given a head in one piece, and so gives a name in one.
static int on_field(llhttp_t *parser, const char *at, size_t len) {
  struct collector *c = parser->data;
  struct request *r = c->request;
  if (r->field_count == c->field_max) return -1;
  r->fields[r->field_count++] = (struct field){.name = {at, len}, .value = SPAN("")};
  return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len) {
  struct collector *c = parser->data;
  head_grow(&c->request->fields[c->request->field_count - 1].value, at, len);
  return 0;
}

static int on_headers_complete(llhttp_t *parser) {
  (void)parser;
  return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
};

static struct request *request_new(struct span head, size_t field_count) {
  size_t fields_at = ROUND_UP(sizeof(struct request) + head.len, _Alignof(struct field));
  struct request *r = xmalloc(fields_at + field_count * sizeof(struct field));
  *r = (struct request){.fields = (struct field *)(void *)((char *)r + fields_at)};
  memcpy(r->bytes, head.bytes, head.len);
  return r;
}

// Of the fields so far. Versions of llhttp differ in what they call wrong where a coding follows a length.
static bool has_length(const struct request *r) {
  for (size_t i = 0; i < r->field_count; i++)
    if (span_equal_nocase(r->fields[i].name, SPAN("content-length"))) return true;
  return false;
}

// What is legal and yet not llhttp's is put in its words: a later version 1.x is 1.1 to us (RFC 9110 2.5),
// and a tab behind a value, which is trimmed anyway, may as well be a blank.
static void adapt(char *head, size_t len, int minor) {
  char *line_end = memchr(head, '\r', len);
  line_end[-1] = (char)('0' + minor);
  for (char *tab = head, *end = head + len; (tab = memchr(tab, '\t', (size_t)(end - tab)));) {
    char *first = tab;
    while (*tab == ' ' || *tab == '\t') tab++;
    if (*tab == '\r') memset(first, ' ', (size_t)(tab - first));
  }
}

static struct refusal run_parser(struct request *r, size_t head_len, size_t field_count) {
  struct collector collector = {.request = r, .field_max = field_count};
  llhttp_t parser;
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  parser.data = &collector;
  size_t at = r->method_name.len + 1;
  llhttp_execute(&parser, "POST ", 5); // for any method: it knows a few, and changes its manner with some
  llhttp_errno_t error = llhttp_execute(&parser, r->bytes + at, head_len - at);
  if (error == HPE_INVALID_TRANSFER_ENCODING && !has_length(r))
    return REFUSED(501, "unknown transfer coding");
  bool is_believed = error == HPE_PAUSED && r->field_count == field_count;
  return is_believed ? ACCEPTED : REFUSED(400, "bad request");
}

static void normalise(struct request *r) {
  for (size_t i = 0; i < r->field_count; i++) {
    struct field *field = &r->fields[i];
    char *name = r->bytes + (field->name.bytes - r->bytes);
    for (size_t k = 0; k < field->name.len; k++)
      if (name[k] >= 'A' && name[k] <= 'Z') name[k] |= 0x20;
    field->value = span_trim(field->value);
  }
}

// What the request line says of the version and the method; the guard has seen to its shape.
static struct refusal read_line(struct request *r, size_t len) {
  struct span rest = {r->bytes, len};
  r->method_name = span_split(&rest, ' ');
  span_split(&rest, ' ');
  const char *version = rest.bytes; // "HTTP/d.d"
  if (version[5] != '1') return REFUSED(505, "unknown HTTP version");
  if (span_equal(r->method_name, SPAN("CONNECT")) || span_equal(r->method_name, SPAN("TRACE")))
    return REFUSED(405, "method not allowed");
  r->minor = MIN(version[7] - '0', 1);
  r->method = (uint8_t)method_of(r->method_name);
  return ACCEPTED;
}

const char *head_library_version(void) {
  return LITERAL_OF(LLHTTP_VERSION_MAJOR) "." LITERAL_OF(LLHTTP_VERSION_MINOR) "." LITERAL_OF(
      LLHTTP_VERSION_PATCH);
}

struct refusal head_parse(struct span head, size_t field_count, struct request **out) {
  struct request *r = request_new(head, field_count);
  struct refusal refusal = read_line(r, head.len);
  if (!refusal.status) {
    adapt(r->bytes, head.len, r->minor);
    refusal = run_parser(r, head.len, field_count);
  }
  if (!refusal.status) {
    normalise(r);
    refusal = head_check(r);
  }
  if (refusal.status) request_free(r);
  else *out = r;
  return refusal;
}
