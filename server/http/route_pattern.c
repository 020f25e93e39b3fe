// SPDX-License-Identifier: MIT
// Reads the patterns of routes. A pattern that could never match, or whose parameters a script could not name
// as req.params.name, is refused with a reason that quotes it. A set reads as Lua's own matcher reads the
// inside of [...], down to a ']' that stands first and to ranges that end in '%'; it is compiled to a bitmap.
#include "http/route_pattern.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/util.h"

enum { QUOTED_MAX = 120, NAME_SHOWN_MAX = 40 };

static const char *const reserved_words[] = {
    "and", "break", "do",  "else", "elseif", "end",    "false",  "for",  "function", "goto",  "if",
    "in",  "local", "nil", "not",  "or",     "repeat", "return", "then", "true",     "until", "while"};

struct reader {
  struct span rest; // what is still to be read
  struct route_pattern *pattern;
  char *error;
};

// Writes `"the pattern": the reason`; returns false.
PRINTF_LIKE(2, 3) static bool pattern_refuse(const struct reader *r, const char *format, ...) {
  struct span text = r->pattern->text;
  int quoted = (int)MIN(text.len, QUOTED_MAX);
  int len = snprintf(r->error, ROUTER_ERROR_MAX, "\"%.*s%s\": ", quoted, text.bytes,
                     text.len > QUOTED_MAX ? "..." : "");
  va_list args;
  va_start(args, format);
  vsnprintf(r->error + len, ROUTER_ERROR_MAX - (size_t)len, format, args);
  va_end(args);
  return false;
}

static bool class_has(int class, int byte) {
  switch (class) {
  case 'a': return isalpha(byte);
  case 'c': return iscntrl(byte);
  case 'd': return isdigit(byte);
  case 'g': return isgraph(byte);
  case 'l': return islower(byte);
  case 'p': return ispunct(byte);
  case 's': return isspace(byte);
  case 'u': return isupper(byte);
  case 'w': return isalnum(byte);
  case 'x': return isxdigit(byte);
  default: return byte == 0; // 'z', which Lua 5.4 still knows
  }
}

static void set_add(struct byte_set *s, int byte) { s->bits[byte >> 6] |= UINT64_C(1) << (byte & 63); }

static void set_add_range(struct byte_set *s, int first, int last) {
  for (int byte = first; byte <= last; byte++) set_add(s, byte);
}

// Adds %letter: a class, its complement where the letter is upper case, or the byte itself.
static void set_add_escape(struct byte_set *s, int letter) {
  int class = tolower(letter);
  if (!class || !strchr("acdglpsuwxz", class)) {
    set_add(s, letter);
    return;
  }
  for (int byte = 0; byte < 256; byte++)
    if (class_has(class, byte) != (isupper(letter) != 0)) set_add(s, byte);
}

// Takes the inside of a set and the ']' behind it off the front of *rest. Its first byte is never the end.
static bool take_set(struct span *rest, struct span *inside) {
  size_t len = 0;
  while (len < rest->len && (!len || rest->bytes[len] != ']')) len += rest->bytes[len] == '%' ? 2 : 1;
  if (len >= rest->len) return false;
  *inside = (struct span){rest->bytes, len};
  *rest = span_behind(*rest, len + 1);
  return true;
}

static struct byte_set set_compile(struct span inside) {
  struct byte_set s = {};
  for (const unsigned char *at = (const void *)inside.bytes, *end = at + inside.len; at < end; at++) {
    if (*at == '%') set_add_escape(&s, *++at);
    else if (at + 2 < end && at[1] == '-') set_add_range(&s, at[0], at[2]), at += 2;
    else set_add(&s, *at);
  }
  return s;
}

static bool set_is_empty(const struct byte_set *s) {
  static const struct byte_set none;
  return !memcmp(s, &none, sizeof none);
}

// Reads "[set]".
static bool set_read(struct reader *r, struct pattern_segment *segment) {
  r->rest = span_behind(r->rest, 1);
  bool negated = span_starts_with(r->rest, SPAN("^"));
  if (negated) r->rest = span_behind(r->rest, 1);
  struct span inside;
  if (!take_set(&r->rest, &inside)) return pattern_refuse(r, "the set lacks its ']'");
  segment->set = set_compile(inside);
  if (negated)
    for (size_t i = 0; i < countof(segment->set.bits); i++) segment->set.bits[i] ^= UINT64_MAX;
  if (set_is_empty(&segment->set)) return pattern_refuse(r, "the set has no character");
  segment->kind = SEGMENT_SET;
  if (r->rest.len && r->rest.bytes[0] != '/')
    return pattern_refuse(r, "nothing may stand between a set and the next '/'");
  return true;
}

static bool is_identifier(struct span name) {
  for (size_t i = 0; i < name.len; i++) {
    unsigned char byte = (unsigned char)name.bytes[i];
    if (byte != '_' && !(i ? isalnum(byte) : isalpha(byte))) return false;
  }
  return true;
}

static bool is_reserved(struct span name) {
  for (size_t i = 0; i < countof(reserved_words); i++)
    if (span_equal(name, span_of(reserved_words[i]))) return true;
  return false;
}

static bool has_param(const struct route_pattern *p, struct span name) {
  for (size_t i = 0; i < p->count; i++)
    if (p->segments[i].kind != SEGMENT_LITERAL && span_equal(p->segments[i].text, name)) return true;
  return false;
}

static bool name_check(const struct reader *r, struct span name) {
  int shown = (int)MIN(name.len, NAME_SHOWN_MAX);
  if (!name.len) return pattern_refuse(r, "a parameter lacks its name");
  if (!is_identifier(name))
    return pattern_refuse(r, "the parameter name \"%.*s\" is not a Lua identifier", shown, name.bytes);
  if (is_reserved(name))
    return pattern_refuse(r, "the parameter name \"%.*s\" is a reserved word of Lua", shown, name.bytes);
  if (has_param(r->pattern, name))
    return pattern_refuse(r, "two parameters are named \"%.*s\"", shown, name.bytes);
  if (r->pattern->param_count == ROUTE_PARAMS_MAX)
    return pattern_refuse(r, "more than %d parameters", ROUTE_PARAMS_MAX);
  return true;
}

// Takes the bytes up to a '/', or up to `stop` where that comes first.
static struct span word_read(struct reader *r, char stop) {
  size_t len = 0;
  while (len < r->rest.len && r->rest.bytes[len] != '/' && r->rest.bytes[len] != stop) len++;
  struct span word = {r->rest.bytes, len};
  r->rest = span_behind(r->rest, len);
  return word;
}

static bool param_read(struct reader *r, struct pattern_segment *segment) {
  bool rest = r->rest.bytes[0] == '*';
  r->rest = span_behind(r->rest, 1);
  struct span name = word_read(r, rest ? '/' : '[');
  *segment = (struct pattern_segment){.kind = rest ? SEGMENT_REST : SEGMENT_ANY, .text = name};
  if (!name_check(r, name)) return false;
  r->pattern->param_count++;
  if (span_starts_with(r->rest, SPAN("["))) return set_read(r, segment);
  if (rest && r->rest.len)
    return pattern_refuse(r, "*%.*s must be the last segment", (int)MIN(name.len, NAME_SHOWN_MAX),
                          name.bytes);
  return true;
}

static bool literal_read(struct reader *r, struct pattern_segment *segment) {
  struct span text = word_read(r, '/');
  *segment = (struct pattern_segment){.kind = SEGMENT_LITERAL, .text = text};
  if (!text.len && r->rest.len) return pattern_refuse(r, "an empty segment may only be the last");
  if (!route_text_is_valid(text))
    return pattern_refuse(r, "no path has a segment with a NUL, or \".\" or \"..\"");
  return true;
}

int route_pattern_read(struct route_pattern *p, struct span text, char error[ROUTER_ERROR_MAX]) {
  struct reader r = {.rest = text, .pattern = p, .error = error};
  p->text = text;
  p->count = p->param_count = 0;
  if (!span_starts_with(text, SPAN("/"))) return pattern_refuse(&r, "a path begins with '/'"), -1;
  while (r.rest.len) {
    r.rest = span_behind(r.rest, 1); // the '/'
    if (p->count == ROUTE_SEGMENTS_MAX)
      return pattern_refuse(&r, "more than %d segments", ROUTE_SEGMENTS_MAX), -1;
    struct pattern_segment *segment = &p->segments[p->count];
    bool is_param = span_starts_with(r.rest, SPAN(":")) || span_starts_with(r.rest, SPAN("*"));
    if (!(is_param ? param_read : literal_read)(&r, segment)) return -1;
    p->count++;
  }
  return 0;
}
