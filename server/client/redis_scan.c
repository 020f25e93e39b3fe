// SPDX-License-Identifier: MIT
// hiredis's reader allocates what a length says before any of it has come, nests without end (1.x), takes any
// two bytes for a line end behind a string, and waits for ever for one that is cut short. So each byte passes
// here first, and the reader meets only what it reads well. RESP2: what else there is nobody has asked for.
#include "client/redis_scan.h"
#include "base/digits.h"
#include "base/util.h"

static bool has_number(const struct redis_scan *s) { return s->type != '+' && s->type != '-'; }

static const char *scan_type(struct redis_scan *s, char c) {
  if (c != '+' && c != '-' && c != ':' && c != '$' && c != '*') return "a reply of no type of RESP2";
  s->state = SCAN_LINE, s->type = c;
  s->is_negative = s->has_digit = false;
  s->number = 0, s->line_len = 0;
  return NULL;
}

static const char *scan_digit(struct redis_scan *s, char c) {
  const uint64_t max = (uint64_t)INT64_MAX + s->is_negative;
  if (c == '-' && !s->line_len) return s->is_negative = true, NULL;
  if (!is_digit(c)) return "a number with something else in it";
  unsigned digit = (unsigned)(c - '0');
  if (s->has_digit && !s->number) return "a number that begins with 0";
  if (s->number > (max - digit) / 10) return "a number that is too large";
  s->number = s->number * 10 + digit, s->has_digit = true;
  return NULL;
}

static const char *scan_line(struct redis_scan *s, char c) {
  if (c == '\r') {
    s->state = SCAN_LINE_END;
    bool is_none = !s->has_digit || (s->is_negative && !s->number);
    return has_number(s) && is_none ? "a number that is none" : NULL;
  }
  if (c == '\n') return "a line that ends without CR";
  const char *wrong = has_number(s) ? scan_digit(s, c) : NULL;
  if (++s->line_len > REDIS_LINE_MAX) return "a line that is too long";
  return wrong;
}

// A value is complete, and with it each array whose last it is.
static void scan_value_end(struct redis_scan *s) {
  s->state = SCAN_TYPE;
  while (s->depth && !--s->left[s->depth - 1]) s->depth--;
  if (!s->depth) s->bytes = s->elements = 0;
}

static const char *scan_bulk_begin(struct redis_scan *s) {
  if (s->is_negative) return s->number == 1 ? scan_value_end(s), NULL : "a string of negative length";
  if (s->number > REDIS_BULK_MAX) return "a string above 16 MB";
  s->bulk_left = (size_t)s->number, s->state = s->bulk_left ? SCAN_BULK : SCAN_BULK_END, s->line_len = 0;
  return NULL;
}

static const char *scan_array_begin(struct redis_scan *s) {
  if (s->is_negative) return s->number == 1 ? scan_value_end(s), NULL : "an array of negative length";
  if (s->number > REDIS_COUNT_MAX) return "an array of too many elements";
  if (s->depth == REDIS_DEPTH_MAX) return "arrays in arrays that are too deep";
  if ((s->elements += (size_t)s->number) > REDIS_ELEMENTS_MAX) return "a reply of too many elements";
  if (!s->number) return scan_value_end(s), NULL;
  s->left[s->depth++] = (uint32_t)s->number, s->state = SCAN_TYPE;
  return NULL;
}

static const char *scan_line_end(struct redis_scan *s, char c) {
  if (c != '\n') return "a line with CR in it";
  if (s->type == '$') return scan_bulk_begin(s);
  if (s->type == '*') return scan_array_begin(s);
  scan_value_end(s);
  return NULL;
}

static const char *scan_bulk_end(struct redis_scan *s, char c) {
  if (c != "\r\n"[s->line_len]) return "a string that is longer than it says";
  if (++s->line_len == 2) scan_value_end(s);
  return NULL;
}

static const char *scan_byte(struct redis_scan *s, char c) {
  switch (s->state) {
  case SCAN_TYPE: return scan_type(s, c);
  case SCAN_LINE: return scan_line(s, c);
  case SCAN_LINE_END: return scan_line_end(s, c);
  case SCAN_BULK_END: return scan_bulk_end(s, c);
  case SCAN_BULK: break; // passed over as a whole
  }
  return NULL;
}

// Passes over what there is of a string; its length.
static size_t skip_bulk(struct redis_scan *s, size_t there) {
  size_t n = MIN(there, s->bulk_left);
  s->bulk_left -= n;
  if (!s->bulk_left) s->state = SCAN_BULK_END;
  return n;
}

const char *redis_scan(struct redis_scan *s, struct span bytes) {
  for (size_t at = 0, n; at < bytes.len; at += n) {
    bool is_bulk = s->state == SCAN_BULK;
    n = is_bulk ? skip_bulk(s, bytes.len - at) : 1;
    if ((s->bytes += n) > REDIS_REPLY_MAX) return "a reply above 64 MB";
    const char *wrong = is_bulk ? NULL : scan_byte(s, bytes.bytes[at]);
    if (wrong) return wrong;
  }
  return NULL;
}
