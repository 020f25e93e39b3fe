// SPDX-License-Identifier: MIT
// A machine of its own rather than llhttp's: that one takes an LF after the last chunk, trailers, extensions
// and leading zeros without end, and refuses two legal forms of extension; and its state would double what
// every idle connection keeps. Extensions are checked and passed over. The outcome depends on the bytes
// alone, not on where they were split.
#include "http/chunked.h"
#include "base/digits.h"
#include "base/util.h"
#include "http/head_guard.h"

enum { DIGITS_MAX = 16 };

static struct refusal chunked_enter(struct chunked *c, bool expected, enum chunked_state state) {
  c->state = (uint8_t)state;
  return expected ? ACCEPTED : REFUSED(400, "bad chunk");
}

// The size is complete.
static struct refusal end_size(struct chunked *c, unsigned char byte) {
  if (!c->digits || (byte != '\r' && byte != ';')) return REFUSED(400, "bad chunk size");
  if (c->size > c->body_left) return REFUSED_BY(LIMIT_BODY, 413, "request body too large");
  c->body_left -= c->size;
  c->digits = 0;
  return chunked_enter(c, true, byte == ';' ? CHUNKED_EXTENSION : CHUNKED_SIZE_LF);
}

// Blanks count as an extension's bytes do.
static struct refusal step_blank(struct chunked *c, unsigned char byte, size_t max) {
  if (byte != ' ' && byte != '\t') return end_size(c, byte);
  c->state = CHUNKED_SIZE_BLANK;
  return ++c->extension_len > max ? REFUSED_BY(LIMIT_CHUNK_EXTENSIONS, 413, "chunk extensions too long")
                                  : ACCEPTED;
}

static struct refusal step_size(struct chunked *c, unsigned char byte, size_t max) {
  int digit = hex_value((char)byte);
  if (digit < 0 && c->digits && c->takes_blanks) return step_blank(c, byte, max);
  if (digit < 0) return end_size(c, byte);
  if (++c->digits > DIGITS_MAX) return REFUSED(400, "bad chunk size");
  c->size = c->size << 4 | (unsigned)digit;
  return ACCEPTED;
}

// Where a byte other than CR leads within extensions; -1 where it must not stand there. Blanks are taken
// where RFC 9112 7.1.1 has BWS, and so in front of a ';' or '=' and behind them only.
static int extension_next(enum chunked_state state, unsigned char byte) {
  bool blank = byte == ' ' || byte == '\t', token = is_tchar(byte);
  switch (state) {
  case CHUNKED_EXTENSION: return token ? CHUNKED_NAME : blank ? CHUNKED_EXTENSION : -1;
  case CHUNKED_NAME:
    if (token) return CHUNKED_NAME;
    break;
  case CHUNKED_EQUALS:
    if (byte == '"') return CHUNKED_QUOTED;
    return token ? CHUNKED_VALUE : blank ? CHUNKED_EQUALS : -1;
  case CHUNKED_VALUE:
    if (token) return CHUNKED_VALUE;
    break;
  case CHUNKED_QUOTED:
    return byte == '"' ? CHUNKED_QUOTE_END : byte == '\\' ? CHUNKED_ESCAPED : CHUNKED_QUOTED;
  case CHUNKED_ESCAPED: return CHUNKED_QUOTED;
  default: break;
  }
  bool in_name = state == CHUNKED_NAME || state == CHUNKED_NAME_BLANK;
  if (byte == ';') return CHUNKED_EXTENSION;
  if (byte == '=' && in_name) return CHUNKED_EQUALS;
  return !blank ? -1 : in_name ? CHUNKED_NAME_BLANK : CHUNKED_VALUE_BLANK;
}

static struct refusal step_extension(struct chunked *c, unsigned char byte, size_t max) {
  bool may_end = c->state == CHUNKED_NAME || c->state == CHUNKED_VALUE || c->state == CHUNKED_QUOTE_END;
  if (byte == '\r' && may_end) return chunked_enter(c, true, CHUNKED_SIZE_LF);
  int next = is_value_byte(byte) ? extension_next(c->state, byte) : -1;
  if (next < 0) return REFUSED(400, "bad chunk extension");
  c->state = (uint8_t)next;
  return ++c->extension_len > max ? REFUSED_BY(LIMIT_CHUNK_EXTENSIONS, 413, "chunk extensions too long")
                                  : ACCEPTED;
}

static struct refusal chunked_step(struct chunked *c, unsigned char byte, const struct proto_limits *limits) {
  switch ((enum chunked_state)c->state) {
  case CHUNKED_SIZE: return step_size(c, byte, limits->chunk_extensions);
  case CHUNKED_SIZE_BLANK: return step_blank(c, byte, limits->chunk_extensions);
  case CHUNKED_EXTENSION:
  case CHUNKED_NAME:
  case CHUNKED_NAME_BLANK:
  case CHUNKED_EQUALS:
  case CHUNKED_VALUE:
  case CHUNKED_QUOTED:
  case CHUNKED_ESCAPED:
  case CHUNKED_QUOTE_END:
  case CHUNKED_VALUE_BLANK: return step_extension(c, byte, limits->chunk_extensions);
  case CHUNKED_SIZE_LF: return chunked_enter(c, byte == '\n', c->size ? CHUNKED_DATA : CHUNKED_DONE);
  case CHUNKED_DATA_CR: return chunked_enter(c, byte == '\r', CHUNKED_DATA_LF);
  case CHUNKED_DATA_LF: return chunked_enter(c, byte == '\n', CHUNKED_SIZE);
  case CHUNKED_DATA:
  case CHUNKED_DONE: break;
  }
  return ACCEPTED;
}

bool chunked_limit(struct chunked *c, uint64_t body_max) {
  uint64_t announced = UINT64_MAX - c->body_left;
  if (announced > body_max) return false;
  c->body_left = body_max - announced;
  return true;
}

size_t chunked_take(struct chunked *c, struct span in, const struct proto_limits *limits, struct span *data,
                    struct refusal *refusal) {
  size_t taken = 0;
  *data = (struct span){0};
  while (taken < in.len && c->state != CHUNKED_DONE) {
    if (c->state == CHUNKED_DATA) {
      *data = (struct span){in.bytes + taken, (size_t)MIN(c->size, (uint64_t)(in.len - taken))};
      c->size -= data->len;
      if (!c->size) c->state = CHUNKED_DATA_CR;
      return taken + data->len;
    }
    *refusal = chunked_step(c, (unsigned char)in.bytes[taken], limits);
    if (refusal->status) break;
    taken++;
  }
  return taken;
}
