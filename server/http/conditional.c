// SPDX-License-Identifier: MIT
// A tag counts before a date wherever both are there: the date knows only whole seconds.
#include "http/conditional.h"
#include <stdio.h>
#include <time.h>

// Without W/.
static struct span opaque_of(struct span tag) {
  return span_starts_with(tag, SPAN("W/")) ? span_behind(tag, 2) : tag;
}

static bool is_strong(struct span tag) { return span_starts_with(tag, SPAN("\"")); }

// Takes the next entity tag off the front of a list, W/ included. False at the end and where none follows.
static bool etag_next(struct span *list, struct span *tag) {
  while (list->len && strchr(" \t,", list->bytes[0])) *list = span_behind(*list, 1);
  struct span rest = opaque_of(*list);
  if (!is_strong(rest)) return false;
  rest = span_behind(rest, 1);
  const char *end = memchr(rest.bytes, '"', rest.len);
  if (!end) return false;
  *tag = (struct span){list->bytes, (size_t)(end + 1 - list->bytes)};
  *list = span_behind(*list, tag->len);
  return true;
}

static bool list_has(struct span list, struct span etag, bool weak) {
  struct span tag;
  if (span_equal(span_trim(list), SPAN("*"))) return true;
  while (etag_next(&list, &tag))
    if (weak ? span_equal(opaque_of(tag), opaque_of(etag)) : is_strong(tag) && span_equal(tag, etag))
      return true;
  return false;
}

// True where a field of this name has the tag; the list may be spread over several.
static bool names_etag(const struct request *r, struct span name, struct span etag, bool weak) {
  for (size_t i = 0; i < r->field_count; i++)
    if (span_equal(r->fields[i].name, name) && list_has(r->fields[i].value, etag, weak)) return true;
  return false;
}

// The date of a field; -1 where there is none to heed.
static int64_t date_of(const struct request *r, struct span name) {
  struct span value = request_field(r, name);
  return value.bytes ? http_date_read(value) : -1;
}

enum condition conditional_check(const struct request *r, const struct validators *v) {
  if (request_field(r, SPAN("if-match")).bytes) {
    if (!names_etag(r, SPAN("if-match"), v->etag, false)) return CONDITION_FAILED;
  } else {
    int64_t since = date_of(r, SPAN("if-unmodified-since"));
    if (since >= 0 && v->modified > since) return CONDITION_FAILED;
  }
  if (request_field(r, SPAN("if-none-match")).bytes)
    return names_etag(r, SPAN("if-none-match"), v->etag, true) ? CONDITION_NOT_MODIFIED : CONDITION_MET;
  int64_t since = date_of(r, SPAN("if-modified-since"));
  bool is_same = since >= 0 && v->modified >= 0 && v->modified <= since;
  return is_same ? CONDITION_NOT_MODIFIED : CONDITION_MET;
}

// A file that has changed in this second may change in it once more, so such a date is no strong validator
// (RFC 9110 8.8.2.2).
bool conditional_allows_range(const struct request *r, const struct validators *v, int64_t now) {
  struct span value = request_field(r, SPAN("if-range"));
  if (!value.bytes) return true;
  struct span rest = value, tag;
  if (etag_next(&rest, &tag)) return is_strong(tag) && span_equal(tag, v->etag);
  int64_t date = http_date_read(value);
  return date >= 0 && date == v->modified && date < now;
}

size_t etag_write(char out[ETAG_MAX], uint64_t size, int64_t seconds, long nanoseconds, uint64_t inode) {
  return (size_t)snprintf(out, ETAG_MAX, "\"%jx-%jx%08lx-%jx\"", (uintmax_t)size, (uintmax_t)seconds,
                          (unsigned long)nanoseconds, (uintmax_t)inode);
}

int64_t http_date_read(struct span text) {
  static const char *const formats[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %e %H:%M:%S %Y"};
  char copy[48]; // what is longer is no date
  snprintf(copy, sizeof copy, SPAN_FMT, SPAN_ARG(text));
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
    struct tm tm = {};
    const char *end = strptime(copy, formats[i], &tm);
    if (end && (size_t)(end - copy) == text.len) return timegm(&tm);
  }
  return -1;
}

size_t http_date_write(char out[HTTP_DATE_MAX], int64_t seconds) {
  struct tm tm;
  time_t t = (time_t)seconds;
  if (!gmtime_r(&t, &tm)) return 0;
  return strftime(out, HTTP_DATE_MAX, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}
