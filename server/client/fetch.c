// SPDX-License-Identifier: MIT
// What is the same whoever fetches: the head's bytes with their limits, the order in which a sink is told,
// and what is counted. A fetch whose user has left has no sink, and tells nobody.
#include "client/fetch.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/digits.h"
#include "base/mem.h"
#include "serve/service.h"

static struct counters *counters_of(const struct fetch *f) { return &f->fetcher->service->counters; }

struct fetch *fetch_new(struct fetcher *r, const struct fetch_request *request, struct fetch_sink *sink) {
  struct counters *c = &r->service->counters;
  if (r->open >= r->service->settings->limits.http_requests) {
    counter_add(&c->http_errors_total, 1);
    return NULL;
  }
  struct fetch *f = r->ops->open(r, request);
  f->sink = sink;
  counter_add(&c->http_requests_total, 1);
  return f;
}

void fetch_free(struct fetch *f) {
  if (!f) return;
  f->sink = NULL;
  f->fetcher->ops->free(f);
}

void fetch_pause(struct fetch *f) { f->is_paused = true; }

void fetch_resume(struct fetch *f) {
  if (!f->is_paused) return;
  f->is_paused = false;
  if (f->state != FETCH_ENDED) f->fetcher->ops->resume(f);
}

void fetch_send(struct fetch *f, struct span bytes) {
  if (f->state == FETCH_ENDED || f->upload_ended) return;
  buf_append_span(&f->upload, bytes);
  f->fetcher->ops->send(f);
}

void fetch_send_end(struct fetch *f) {
  if (f->state == FETCH_ENDED || f->upload_ended) return;
  f->upload_ended = true;
  f->fetcher->ops->send(f);
}

void fetch_send_no_more(struct fetch *f) {
  if (f->state == FETCH_ENDED || f->upload_ended) return;
  f->upload_stopped = true;
  f->fetcher->ops->send(f);
}

struct span fetch_field(const struct fetch *f, struct span name) {
  for (size_t i = 0; i < f->field_count; i++)
    if (span_equal_nocase(f->fields[i].name, name)) return f->fields[i].value;
  return (struct span){0};
}

const char *fetch_error_name(enum fetch_error error) {
  static const char *const names[] = {"ok",        "timeout", "refused",  "tls", "name",    "too large",
                                      "redirects", "closed",  "protocol", "url", "private", "busy"};
  return names[error];
}

void fetch_init(struct fetch *f, struct fetcher *r) {
  *f = (struct fetch){.fetcher = r};
  r->open++;
  counter_add(&counters_of(f)->http_requests_open, 1);
}

void fetch_deinit(struct fetch *f) {
  f->fetcher->open--;
  counter_add(&counters_of(f)->http_requests_open, -1);
  free(f->fields);
  free(f->message);
  buf_deinit(&f->head);
  buf_deinit(&f->certificate);
  buf_deinit(&f->upload);
}

// "HTTP/1.1 200 OK", "HTTP/2 200"
static bool begin_head(struct fetch *f, struct span line) {
  uint64_t status;
  struct span rest = line, name = span_split(&rest, ' ');
  snprintf(f->version, sizeof f->version, SPAN_FMT, (int)MIN(name.len - 5, 3), name.bytes + 5);
  f->status = 0;
  if (!decimal_read(span_split(&rest, ' '), 999, &status) || status < 100) return false;
  f->status = (int)status, f->field_count = 0;
  f->head.len = 0;
  return true;
}

// A value that goes on in the next line (RFC 9112 5.2): with a space, and not as a field of its own.
static void continue_value(struct fetch *f, struct span more) {
  if (!f->field_count || !more.len) return;
  buf_append_byte(&f->head, ' ');
  buf_append_span(&f->head, more);
  f->fields[f->field_count - 1].value.len += 1 + more.len;
}

// Fields are pairs of lengths' ends until the head is complete: its bytes may move. A line with a slash in
// its first word is no field, so the text behind the status may hold colons.
bool fetch_head_line(struct fetch *f, struct span line) {
  const struct settings *s = f->fetcher->service->settings;
  if (line.len > 5 && !memcmp(line.bytes, "HTTP/", 5)) return begin_head(f, line);
  if (f->head.len + line.len > s->limits.http_head) return false;
  if (line.len && (*line.bytes == ' ' || *line.bytes == '\t'))
    return continue_value(f, span_trim(line)), true;
  struct span rest = line, name = span_trim(span_split(&rest, ':')), value = span_trim(rest);
  if (f->field_count >= s->limits.http_fields) return false;
  if (!(f->field_count & (f->field_count - 1)))
    f->fields = xrealloc(f->fields, MAX(f->field_count * 2, 8) * sizeof *f->fields);
  f->fields[f->field_count++] = (struct field){{NULL, name.len}, {NULL, value.len}};
  buf_append_span(&f->head, name);
  buf_append_span(&f->head, value);
  return true;
}

void fetch_place_fields(struct fetch *f) {
  const char *at = f->head.bytes ? f->head.bytes : ""; // where all names and values are empty
  for (size_t i = 0; i < f->field_count; i++) {
    struct field *field = &f->fields[i];
    field->name.bytes = at, at += field->name.len;
    field->value.bytes = at, at += field->value.len;
  }
}

void fetch_tell_head(struct fetch *f) {
  f->state = FETCH_ANSWERED, f->has_head = true;
  if (f->sink && f->sink->ops->on_head) f->sink->ops->on_head(f);
}

void fetch_tell_body(struct fetch *f, struct span bytes) {
  counter_add(&counters_of(f)->http_bytes_in_total, (int64_t)bytes.len);
  if (f->sink && f->sink->ops->on_body) f->sink->ops->on_body(f, bytes);
}

void fetch_tell_end(struct fetch *f, enum fetch_error error, const char *message) {
  f->state = FETCH_ENDED, f->error = error;
  if (error) f->message = xstrdup(message), counter_add(&counters_of(f)->http_errors_total, 1);
  if (f->sink) f->sink->ops->on_end(f);
}

size_t fetch_take_upload(struct fetch *f, char *into, size_t max) {
  size_t n = MIN(max, f->upload.len);
  if (!n) return 0;
  memcpy(into, f->upload.bytes, n);
  buf_consume(&f->upload, n);
  fetch_count_sent(f, n);
  return n;
}

void fetch_count_sent(struct fetch *f, size_t n) {
  f->bytes_out += n;
  counter_add(&counters_of(f)->http_bytes_out_total, (int64_t)n);
}

void fetch_tell_room(struct fetch *f) {
  if (f->sink && f->sink->ops->on_room) f->sink->ops->on_room(f);
}

void fetch_list(struct service *s, struct span about, struct buf *out) {
  (void)about;
  if (s->fetcher->ops->list) s->fetcher->ops->list(s->fetcher, out);
}
