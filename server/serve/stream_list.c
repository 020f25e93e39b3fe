// SPDX-License-Identifier: MIT
// All streams are looked at, those that match are sorted, and only the rows that are wanted are written: of
// 15,000 that takes a few milliseconds. A stream's id is a hash of where it lies and when it began, so that
// it costs no stream a byte.
#include "serve/stream_list.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/escape.h"
#include "base/mem.h"
#include "http/redact.h"
#include "serve/access.h"
#include "serve/connections.h"
#include "serve/routes.h"
#include "serve/stream.h"
#include "serve/stream_id.h"
#include "serve/tags.h"

struct row {
  struct stream_place place;
  struct stream *stream;
};

struct search {
  const struct stream_query *query;
  struct row *rows;
  size_t count, cap;
};

static double lag_of(struct stream *s) {
  return s->blocked ? stream_service(s)->loop->now - s->carrier->ops->waits_since(s->carrier, s) : 0;
}

static double key_of(struct stream *s, enum stream_order order) {
  switch (order) {
  case BY_BYTES: return (double)s->bytes_out;
  case BY_EVENTS: return s->events_out;
  case BY_QUEUED: return (double)s->queue.bytes;
  case BY_LAG: return lag_of(s);
  default: return -s->opened_at; // each worker has a time of its own, and it passes
  }
}

static const char *route_of(const struct stream *s) {
  return routes_name(&stream_service(s)->process->metrics, s->request->route);
}

static bool has_tag(const struct stream *s, const char *tag) {
  for (const struct tagging *t = s->tags; t; t = t->next)
    if (span_equal(tag_name(t->tag), span_of(tag))) return true;
  return false;
}

static bool has_text(struct span s, const char *text) {
  return memmem(s.bytes, s.len, text, strlen(text)) != NULL;
}

// The target as it may be shown; the caller frees its bytes.
static struct span target_of(const struct stream *s) {
  struct span target = s->request->target;
  char *text = xmalloc(redacted_max(target));
  return (struct span){text, redact_target(&stream_service(s)->settings->log.redact, target, text)};
}

// Who looks for a part of a secret is not told that it is there.
static bool target_has(const struct stream *s, const char *text) {
  struct span target = target_of(s);
  bool has = has_text(target, text);
  free((void *)target.bytes);
  return has;
}

static bool is_about(const struct stream *s, const char *text) {
  char address[ADDRESS_TEXT_MAX];
  struct span remote = {address, access_client(s, address)};
  return target_has(s, text) || has_text(remote, text) || has_text(span_of(route_of(s)), text);
}

static bool is_wanted(const struct stream *s, const struct stream_query *q) {
  char id[STREAM_ID_MAX];
  if (s->state != STREAM_OPEN) return false;
  if (*q->tag && !has_tag(s, q->tag)) return false;
  if (*q->id && (stream_id_text(s, id), strcmp(id, q->id) != 0)) return false;
  return !*q->text || is_about(s, q->text);
}

static void look_at(struct stream *s, void *arg) {
  struct search *search = arg;
  if (!is_wanted(s, search->query)) return;
  if (search->count == search->cap) {
    search->cap = search->cap ? search->cap * 2 : 64;
    search->rows = xrealloc(search->rows, search->cap * sizeof *search->rows);
  }
  search->rows[search->count++] = (struct row){{key_of(s, search->query->order), (uintptr_t)s}, s};
}

static int compare_ids(const struct stream_place *a, const struct stream_place *b) {
  return (a->id > b->id) - (a->id < b->id);
}

// Of rows, which begin with their places.
static int compare_largest(const void *x, const void *y) {
  const struct stream_place *a = x, *b = y;
  int by_key = (a->key < b->key) - (a->key > b->key);
  return by_key ? by_key : compare_ids(a, b);
}

static int compare_smallest(const void *x, const void *y) {
  const struct stream_place *a = x, *b = y;
  int by_key = (a->key > b->key) - (a->key < b->key);
  return by_key ? by_key : compare_ids(a, b);
}

static void write_text(struct buf *out, const char *name, struct span text) {
  buf_printf(out, ",\"%s\":\"", name);
  escape_quoted(out, text, true);
  buf_append_byte(out, '"');
}

static void write_target(struct buf *out, const struct stream *s) {
  struct span target = target_of(s);
  write_text(out, "target", target);
  free((void *)target.bytes);
}

static void write_tags(struct buf *out, const struct stream *s) {
  buf_append_span(out, SPAN(",\"tags\":["));
  for (const struct tagging *t = s->tags; t; t = t->next) {
    buf_append_byte(out, '"');
    escape_quoted(out, tag_name(t->tag), true);
    buf_append_span(out, t->next ? SPAN("\",") : SPAN("\""));
  }
  buf_append_byte(out, ']');
}

static const char *http_version(const struct stream *s) {
  return s->request->is_http2 ? "2" : s->request->minor ? "1.1" : "1.0";
}

static void write_row(struct buf *out, const struct row *r) {
  struct stream *s = r->stream;
  char address[ADDRESS_TEXT_MAX], id[STREAM_ID_MAX];
  struct service *service = stream_service(s);
  stream_id_text(s, id);
  buf_printf(out, "%.17g %" PRIu64 " {\"id\":\"%s\",\"age\":%.3f,\"events\":%u,\"bytes\":%" PRIu64,
             r->place.key, r->place.id, id, service->loop->now - s->opened_at, s->events_out, s->bytes_out);
  buf_printf(out, ",\"queued\":%u,\"queued_bytes\":%zu,\"lag\":%.3f,\"generation\":%u,\"status\":%u",
             s->queue.count, s->queue.bytes, lag_of(s), s->generation, s->status);
  buf_printf(out, ",\"is_events\":%s,\"is_compressed\":%s", s->is_sse ? "true" : "false",
             s->is_gzip ? "true" : "false");
  buf_printf(out, ",\"http\":\"%s\"", http_version(s));
  write_text(out, "remote", (struct span){address, access_client(s, address)});
  write_text(out, "method", s->request->method_name);
  write_target(out, s);
  write_text(out, "route", span_of(route_of(s)));
  write_text(out, "last_id", request_field(s->request, SPAN("last-event-id")));
  write_tags(out, s);
  buf_append_span(out, SPAN("}\n"));
}

static void write_some(struct buf *out, const struct search *search) {
  const struct stream_query *q = search->query;
  int (*compare)(const void *, const void *) = q->smallest_first ? compare_smallest : compare_largest;
  if (search->count) qsort(search->rows, search->count, sizeof *search->rows, compare);
  size_t at = 0;
  while (q->has_first && at < search->count && compare(&search->rows[at].place, &q->first) < 0) at++;
  for (size_t end = at + MIN(search->count - at, q->rows); at < end; at++) {
    const struct row *r = &search->rows[at];
    if (q->is_places) buf_append(out, (const char *)&r->place, sizeof r->place);
    else write_row(out, r);
  }
}

void stream_list(struct service *s, struct span about, struct buf *out) {
  struct search search = {.query = (const struct stream_query *)(const void *)about.bytes};
  connections_each_stream(s, look_at, &search);
  buf_printf(out, "%zu\n", search.count);
  write_some(out, &search);
  free(search.rows);
}
