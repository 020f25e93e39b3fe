// SPDX-License-Identifier: MIT
// Reads the patterns of routes. A pattern that could never match, or whose parameters a script could not name
// as req.params.name, is refused with a reason that quotes it. A set reads as Lua's own matcher reads the
// inside of [...], down to a ']' that stands first and to ranges that end in '%'; it is compiled to a bitmap.
#include "http/route_pattern.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/util.h"

enum { QUOTED_MAX = 120 };

static const char *const reserved_words[] = {
    "and", "break", "do",  "else", "elseif", "end",    "false",  "for",  "function", "goto",  "if",
    "in",  "local", "nil", "not",  "or",     "repeat", "return", "then", "true",     "until", "while"};

struct reader {
  const char *at, *end;
  struct route_pattern *pattern;
  char *error;
};

// Writes `"the pattern": the reason`; returns -1.
PRINTF_LIKE(2, 3) static int pattern_refuse(const struct reader *r, const char *format, ...) {
  struct span text = r->pattern->text;
  int quoted = (int)MIN(text.len, QUOTED_MAX);
  int len = snprintf(r->error, ROUTER_ERROR_MAX, "\"%.*s%s\": ", quoted, text.bytes,
                     text.len > QUOTED_MAX ? "..." : "");
  va_list args;
  va_start(args, format);
  vsnprintf(r->error + len, ROUTER_ERROR_MAX - (size_t)len, format, args);
  va_end(args);
  return -1;
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

// The ']' of the set whose inside begins at `at`, or NULL. The first byte is never the end.
static const char *set_end(const char *at, const char *end) {
  do {
    if (at < end && *at == '%') at++;
    if (at >= end) return NULL;
    at++;
  } while (at == end || *at != ']');
  return at;
}

static struct byte_set set_compile(const char *inside, const char *stop) {
  struct byte_set s = {0};
  for (const unsigned char *at = (const void *)inside, *end = (const void *)stop; at < end; at++) {
    if (*at == '%') set_add_escape(&s, *++at);
    else if (at + 2 < end && at[1] == '-') set_add_range(&s, at[0], at[2]), at += 2;
    else set_add(&s, *at);
  }
  return s;
}

static bool set_is_empty(const struct byte_set *s) {
  return !(s->bits[0] | s->bits[1] | s->bits[2] | s->bits[3]);
}

// Reads "[set]".
static int set_read(struct reader *r, struct pattern_segment *segment) {
  const char *inside = r->at + 1;
  bool negated = inside < r->end && *inside == '^';
  inside += negated;
  const char *stop = set_end(inside, r->end);
  if (!stop) return pattern_refuse(r, "the set lacks its ']'");
  segment->set = set_compile(inside, stop);
  if (negated)
    for (size_t i = 0; i < countof(segment->set.bits); i++) segment->set.bits[i] ^= UINT64_MAX;
  if (set_is_empty(&segment->set)) return pattern_refuse(r, "the set has no character");
  segment->kind = SEGMENT_SET;
  r->at = stop + 1;
  if (r->at < r->end && *r->at != '/')
    return pattern_refuse(r, "nothing may stand between a set and the next '/'");
  return 0;
}

static bool is_identifier(struct span name) {
  for (size_t i = 0; i < name.len; i++) {
    unsigned char byte = (unsigned char)name.bytes[i];
    if (byte != '_' && !(i ? isalnum(byte) : isalpha(byte))) return false;
  }
  return name.len > 0;
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

static int name_check(const struct reader *r, struct span name) {
  int shown = (int)MIN(name.len, 40);
  if (!name.len) return pattern_refuse(r, "a parameter lacks its name");
  if (!is_identifier(name))
    return pattern_refuse(r, "the parameter name \"%.*s\" is not a Lua identifier", shown, name.bytes);
  if (is_reserved(name))
    return pattern_refuse(r, "the parameter name \"%.*s\" is a reserved word of Lua", shown, name.bytes);
  if (has_param(r->pattern, name))
    return pattern_refuse(r, "two parameters are named \"%.*s\"", shown, name.bytes);
  if (r->pattern->param_count == ROUTE_PARAMS_MAX)
    return pattern_refuse(r, "more than %d parameters", ROUTE_PARAMS_MAX);
  return 0;
}

// Takes the bytes up to a '/', or up to `stop` where that comes first.
static struct span word_read(struct reader *r, char stop) {
  const char *start = r->at;
  while (r->at < r->end && *r->at != '/' && *r->at != stop) r->at++;
  return (struct span){start, (size_t)(r->at - start)};
}

static int param_read(struct reader *r, struct pattern_segment *segment) {
  bool rest = *r->at++ == '*';
  struct span name = word_read(r, rest ? '/' : '[');
  *segment = (struct pattern_segment){.kind = rest ? SEGMENT_REST : SEGMENT_ANY, .text = name};
  if (name_check(r, name) < 0) return -1;
  r->pattern->param_count++;
  if (r->at == r->end) return 0;
  if (rest) return pattern_refuse(r, "*%.*s must be the last segment", (int)MIN(name.len, 40), name.bytes);
  return *r->at == '[' ? set_read(r, segment) : 0;
}

static int literal_read(struct reader *r, struct pattern_segment *segment) {
  struct span text = word_read(r, '/');
  *segment = (struct pattern_segment){.kind = SEGMENT_LITERAL, .text = text};
  if (!text.len && r->at < r->end) return pattern_refuse(r, "an empty segment may only be the last");
  if (!route_text_is_valid(text))
    return pattern_refuse(r, "no path has a segment with a NUL, or \".\" or \"..\"");
  return 0;
}

int route_pattern_read(struct route_pattern *p, struct span text, char error[ROUTER_ERROR_MAX]) {
  if (!text.len) text = SPAN("");
  struct reader r = {.at = text.bytes, .end = text.bytes + text.len, .pattern = p, .error = error};
  p->text = text;
  p->count = p->param_count = 0;
  if (r.at == r.end || *r.at != '/') return pattern_refuse(&r, "a path begins with '/'");
  while (r.at < r.end) {
    r.at++; // the '/'
    if (p->count == ROUTE_SEGMENTS_MAX)
      return pattern_refuse(&r, "more than %d segments", ROUTE_SEGMENTS_MAX);
    struct pattern_segment *segment = &p->segments[p->count];
    bool is_param = r.at < r.end && (*r.at == ':' || *r.at == '*');
    if ((is_param ? param_read : literal_read)(&r, segment) < 0) return -1;
    p->count++;
  }
  return 0;
}
