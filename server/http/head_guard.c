// SPDX-License-Identifier: MIT
// The guard sees what llhttp hides from its callbacks (folds, bare LF, empty names) and what it does not
// limit, so only a complete head of strictly ended lines ever reaches the parser. It remembers how far it has
// come: feeding a head byte by byte costs no more than feeding it whole, and the outcome depends on the bytes
// alone, never on where they were split. It knows the shape of a line and no meaning: whether a method, a
// version or a Host is served is decided behind the parser.
#include "http/head_guard.h"
#include "base/util.h"
#include "http/request.h"

enum {
  NAME = 1,   // tchar of RFC 9110 5.6.2
  VALUE = 2,  // field-vchar, blank, tab, obs-text
  TARGET = 4, // visible ASCII without '#'
  LEAD_MAX = 2
};

static const unsigned char classes[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = NAME | VALUE | TARGET,
    ['"'] = VALUE | TARGET,
    ['#'] = NAME | VALUE,
    ['$' ... '\''] = NAME | VALUE | TARGET,
    ['(' ... ')'] = VALUE | TARGET,
    ['*' ... '+'] = NAME | VALUE | TARGET,
    [','] = VALUE | TARGET,
    ['-'] = NAME | VALUE | TARGET,
    ['.'] = NAME | VALUE | TARGET,
    ['/'] = VALUE | TARGET,
    ['0' ... '9'] = NAME | VALUE | TARGET,
    [':' ... '@'] = VALUE | TARGET,
    ['A' ... 'Z'] = NAME | VALUE | TARGET,
    ['[' ... ']'] = VALUE | TARGET,
    ['^'] = NAME | VALUE | TARGET,
    ['_'] = NAME | VALUE | TARGET,
    ['`' ... 'z'] = NAME | VALUE | TARGET,
    ['{'] = VALUE | TARGET,
    ['|'] = NAME | VALUE | TARGET,
    ['}'] = VALUE | TARGET,
    ['~'] = NAME | VALUE | TARGET,
    [0x80 ... 0xff] = VALUE,
};

static bool is(unsigned char byte, int class) { return classes[byte] & class; }

bool is_tchar(unsigned char byte) { return is(byte, NAME); }

bool is_value_byte(unsigned char byte) { return is(byte, VALUE); }

bool is_target_byte(unsigned char byte) { return is(byte, TARGET); }

enum { TLS_HANDSHAKE = 0x16 }; // what a record of the first message begins with

static struct refusal guard_enter(struct head_guard *g, enum head_guard_state state) {
  g->state = (uint8_t)state;
  g->run = 0;
  return ACCEPTED;
}

static struct refusal enter_on(struct head_guard *g, bool expected, enum head_guard_state state) {
  return expected ? guard_enter(g, state) : REFUSED(400, "bad line end");
}

static struct refusal step_lead(struct head_guard *g, unsigned char byte) {
  if (byte != '\n') return REFUSED(400, "bad line end");
  if (++g->lead > LEAD_MAX) return REFUSED(400, "empty lines before the request");
  g->lead_len += 2;
  return guard_enter(g, GUARD_START);
}

static struct refusal step_method(struct head_guard *g, unsigned char byte) {
  g->state = GUARD_METHOD;
  if (byte == ' ' && g->run) return guard_enter(g, GUARD_TARGET);
  if (byte == TLS_HANDSHAKE && !g->run) return REFUSED(400, "this is TLS, and the port speaks plain HTTP");
  if (!is(byte, NAME)) return REFUSED(400, "bad method");
  return ++g->run > METHOD_NAME_MAX ? REFUSED(501, "unknown method") : ACCEPTED;
}

static struct refusal step_target(struct head_guard *g, unsigned char byte,
                                  const struct proto_limits *limits) {
  if (byte == ' ' && g->run) return guard_enter(g, GUARD_VERSION);
  if (!is(byte, TARGET)) return REFUSED(400, "bad request target");
  return ++g->run > limits->target ? REFUSED_BY(LIMIT_TARGET, 414, "request target too long") : ACCEPTED;
}

// Matches "HTTP/d.d" and the CR behind it.
static struct refusal step_version(struct head_guard *g, unsigned char byte) {
  static const char shape[] = "HTTP/0.0\r";
  char expected = shape[g->run++];
  bool matches = expected == '0' ? byte >= '0' && byte <= '9' : byte == (unsigned char)expected;
  if (!matches) return REFUSED(400, "bad HTTP version");
  return expected == '\r' ? guard_enter(g, GUARD_LINE_LF) : ACCEPTED;
}

static struct refusal step_field(struct head_guard *g, unsigned char byte,
                                 const struct proto_limits *limits) {
  if (byte == '\r') return guard_enter(g, GUARD_END_LF);
  if (byte == ' ' || byte == '\t') return REFUSED(400, "folded field");
  if (!is(byte, NAME)) return REFUSED(400, "bad field name");
  if (++g->fields > limits->fields) return REFUSED_BY(LIMIT_FIELDS, 431, "too many fields");
  return guard_enter(g, GUARD_NAME);
}

static struct refusal guard_step(struct head_guard *g, unsigned char byte,
                                 const struct proto_limits *limits) {
  switch ((enum head_guard_state)g->state) {
  case GUARD_START: return byte == '\r' ? guard_enter(g, GUARD_LEAD_LF) : step_method(g, byte);
  case GUARD_LEAD_LF: return step_lead(g, byte);
  case GUARD_METHOD: return step_method(g, byte);
  case GUARD_TARGET: return step_target(g, byte, limits);
  case GUARD_VERSION: return step_version(g, byte);
  case GUARD_LINE_LF: return enter_on(g, byte == '\n', GUARD_FIELD);
  case GUARD_FIELD: return step_field(g, byte, limits);
  case GUARD_NAME:
    if (byte == ':') return guard_enter(g, GUARD_VALUE);
    return is(byte, NAME) ? ACCEPTED : REFUSED(400, "bad field name");
  case GUARD_VALUE:
    if (byte == '\r') return guard_enter(g, GUARD_VALUE_LF);
    return is(byte, VALUE) ? ACCEPTED : REFUSED(400, "bad field value");
  case GUARD_VALUE_LF: return enter_on(g, byte == '\n', GUARD_FIELD);
  case GUARD_END_LF: return enter_on(g, byte == '\n', GUARD_DONE);
  case GUARD_DONE: break;
  }
  return ACCEPTED;
}

static size_t skip_class(const char *bytes, size_t at, size_t stop, int class) {
  while (at < stop && is((unsigned char)bytes[at], class)) at++;
  return at;
}

static size_t skip_target(struct head_guard *g, const char *bytes, size_t at, size_t stop,
                          const struct proto_limits *limits) {
  size_t end = skip_class(bytes, at, at + MIN(stop - at, limits->target - g->run), TARGET);
  g->run += (uint32_t)(end - at);
  return end;
}

// The version that nearly all heads have.
static size_t skip_version(struct head_guard *g, const char *bytes, size_t at, size_t stop) {
  struct span usual = SPAN("HTTP/1.1\r");
  if (!span_starts_with((struct span){bytes + at, stop - at}, usual)) return at;
  guard_enter(g, GUARD_LINE_LF);
  return at + usual.len;
}

// Passes over bytes that need no step for each, which most of a head are.
static size_t skip_run(struct head_guard *g, const char *bytes, size_t at, size_t stop,
                       const struct proto_limits *limits) {
  switch (g->state) {
  case GUARD_NAME: return skip_class(bytes, at, stop, NAME);
  case GUARD_VALUE: return skip_class(bytes, at, stop, VALUE);
  case GUARD_TARGET: return skip_target(g, bytes, at, stop, limits);
  case GUARD_VERSION: return g->run ? at : skip_version(g, bytes, at, stop);
  default: return at;
  }
}

struct refusal head_guard_scan(struct head_guard *g, const char *bytes, size_t len,
                               const struct proto_limits *limits) {
  struct refusal refusal = ACCEPTED;
  size_t at = g->scanned;
  while (at < len && g->state != GUARD_DONE && !refusal.status) {
    if (at - g->lead_len >= limits->head) return REFUSED_BY(LIMIT_HEAD, 431, "request head too large");
    refusal = guard_step(g, (unsigned char)bytes[at++], limits);
    at = skip_run(g, bytes, at, MIN(len, limits->head + g->lead_len), limits);
  }
  g->scanned = at;
  return refusal;
}
