// SPDX-License-Identifier: MIT
// The delimiter begins with CR and has no other one, so what does not match it can begin again at the next CR
// only: no byte is looked at twice. What was taken for a delimiter and is none is handed on from the
// delimiter itself, so nothing of the data is kept between two calls. Preamble and epilogue are passed over.
#include "http/multipart.h"
#include <stdio.h>

enum state {
  PREAMBLE,  // of zeros
  DELIMITER, // behind its boundary
  DASH,      // behind "-" there
  PADDING,
  PADDING_LF,
  HEAD,
  DATA,
  EPILOGUE
};

static const bool boundary_bytes[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, [' '] = true,
    ['\''] = true,        ['('] = true,         [')'] = true,         ['+' ... '/'] = true,
    [':'] = true,         ['='] = true,         ['?'] = true,         ['_'] = true,
};

// Takes what is in quotes, and the second of them, off the front of *rest, with \" and \\ for those two in
// it: other backslashes stand for themselves, since a browser may send a whole path. It is decoded in place.
// False where it does not end.
static bool take_quoted(struct span *rest, struct span *value) {
  char *out = (char *)rest->bytes;
  *value = (struct span){out, 0};
  for (bool is_escaped = false; rest->len;) {
    char c = *rest->bytes++;
    rest->len--;
    if (c == '"' && !is_escaped) return true;
    bool replaces = is_escaped && (c == '"' || c == '\\');
    out[value->len - replaces] = c;
    value->len += !replaces;
    is_escaped = c == '\\' && !is_escaped;
  }
  return false;
}

enum parameter { PARAMETER_NONE, PARAMETER_ONE, PARAMETER_BAD };

// Takes `name=value` and the ';' behind it off the front of *rest.
static enum parameter take_parameter(struct span *rest, struct span *name, struct span *value) {
  while (rest->len && strchr("; \t", *rest->bytes)) rest->bytes++, rest->len--;
  if (!rest->len) return PARAMETER_NONE;
  bool has_value = memchr(rest->bytes, '=', rest->len);
  *name = span_trim(span_split(rest, '='));
  if (!has_value || memchr(name->bytes, ';', name->len)) return PARAMETER_BAD;
  bool is_quoted = rest->len && *rest->bytes == '"';
  if (!is_quoted) return *value = span_trim(span_split(rest, ';')), PARAMETER_ONE;
  rest->bytes++, rest->len--;
  return take_quoted(rest, value) && !span_trim(span_split(rest, ';')).len ? PARAMETER_ONE : PARAMETER_BAD;
}

bool multipart_init(struct multipart *m, struct span content_type, const struct multipart_sink *sink,
                    void *owner) {
  char copy[1024];
  struct span rest = content_type, name, value, boundary = {0};
  span_split(&rest, ';');
  if (rest.len > sizeof copy) return false;
  memcpy(copy, rest.bytes, rest.len); // quotes are taken off in place
  rest.bytes = copy;
  while (!boundary.len && take_parameter(&rest, &name, &value) == PARAMETER_ONE)
    if (span_equal_nocase(name, SPAN("boundary"))) boundary = value;
  if (!boundary.len || boundary.len > MULTIPART_BOUNDARY_MAX || boundary.bytes[boundary.len - 1] == ' ')
    return false;
  for (size_t i = 0; i < boundary.len; i++)
    if (!boundary_bytes[(unsigned char)boundary.bytes[i]]) return false;
  m->sink = sink, m->owner = owner;
  m->matched = m->assumed = 2;
  m->delimiter_len =
      (uint8_t)snprintf(m->delimiter, sizeof m->delimiter, "\r\n--" SPAN_FMT, SPAN_ARG(boundary));
  return true;
}

static void emit(struct multipart *m, const char *bytes, size_t len) {
  if (m->state == DATA && len) m->sink->on_data(m->owner, (struct span){bytes, len});
}

// Hands on what is in front of a CR, with which a delimiter may begin.
static void pass(struct multipart *m, struct span *in) {
  size_t all = in->len;
  struct span data = span_split(in, '\r');
  emit(m, data.bytes, data.len);
  m->matched = data.len < all;
}

// The next byte of what may be a delimiter. Where it is none, the byte is left to be looked at again.
static void match(struct multipart *m, struct span *in) {
  if (*in->bytes != m->delimiter[m->matched]) {
    emit(m, m->delimiter + m->assumed, (size_t)(m->matched - m->assumed));
    m->matched = m->assumed = 0;
    return;
  }
  in->bytes++, in->len--;
  if (++m->matched == m->delimiter_len) m->state = DELIMITER;
}

// A filename as one may be used: without folders, and none that is one.
static struct span last_segment(struct span path) {
  size_t at = path.len;
  while (at && path.bytes[at - 1] != '/' && path.bytes[at - 1] != '\\') at--;
  struct span name = {path.bytes + at, path.len - at};
  return span_equal(name, SPAN(".")) || span_equal(name, SPAN("..")) ? SPAN("") : name;
}

// Content-Disposition: form-data; name="..."; filename="...". A filename* is not for forms (RFC 7578 4.2).
static const char *read_disposition(struct span value, struct multipart_part *part) {
  struct span name;
  if (!span_equal_nocase(span_trim(span_split(&value, ';')), SPAN("form-data")))
    return "a part that is no form-data";
  enum parameter more;
  struct span rest = value;
  while ((more = take_parameter(&rest, &name, &value)) == PARAMETER_ONE) {
    if (span_equal_nocase(name, SPAN("name")) && !part->name.bytes) part->name = value;
    else if (span_equal_nocase(name, SPAN("filename")) && !part->is_file)
      part->filename = last_segment(value), part->is_file = true;
  }
  return more == PARAMETER_BAD ? "a part's Content-Disposition is malformed" : NULL;
}

static bool has_control(struct span s) {
  for (size_t i = 0; i < s.len; i++)
    if (((unsigned char)s.bytes[i] < ' ' && s.bytes[i] != '\t') || s.bytes[i] == 0x7f) return true;
  return false;
}

static const char *read_field(struct span line, struct multipart_part *part) {
  if (has_control(line) || !memchr(line.bytes, ':', line.len)) return "a part's header is malformed";
  struct span name = span_split(&line, ':'), value = span_trim(line);
  if (span_equal_nocase(name, SPAN("content-type")) && !part->type.bytes) part->type = value;
  if (!span_equal_nocase(name, SPAN("content-disposition"))) return NULL;
  if (part->name.bytes) return "a part with two names";
  return read_disposition(value, part);
}

static const char *begin_head(struct multipart *m) {
  m->state = HEAD, m->head_len = m->line_at = 0;
  m->part = (struct multipart_part){0};
  return NULL;
}

static const char *end_head(struct multipart *m) {
  if (!m->part.name.bytes) return "a part without a name";
  m->state = DATA, m->matched = m->assumed = 2;
  m->sink->on_part(m->owner, &m->part);
  return NULL;
}

static const char *end_line(struct multipart *m, size_t len) {
  struct span line = {m->head + m->line_at, len};
  m->line_at = m->head_len;
  return len ? read_field(line, &m->part) : end_head(m);
}

static const char *step_head(struct multipart *m, char c) {
  if (m->head_len == sizeof m->head) return "a part's header is too long";
  size_t len = (size_t)(m->head_len - m->line_at);
  bool was_cr = len && m->head[m->head_len - 1] == '\r';
  if ((c == '\n') != was_cr) return "a part's header is malformed";
  m->head[m->head_len++] = c;
  return was_cr ? end_line(m, len - 1) : NULL;
}

static const char *multipart_step(struct multipart *m, char c) {
  bool is_blank = c == ' ' || c == '\t';
  switch ((enum state)m->state) {
  case DELIMITER:
    if (c == '-') return m->state = DASH, NULL;
    m->state = PADDING;
    return multipart_step(m, c);
  case DASH: return m->state = EPILOGUE, c == '-' ? NULL : "a boundary with something behind it";
  case PADDING:
    if (c == '\r') m->state = PADDING_LF;
    return is_blank || c == '\r' ? NULL : "a boundary with something behind it";
  case PADDING_LF: return c == '\n' ? begin_head(m) : "a boundary with something behind it";
  case HEAD: return step_head(m, c);
  case PREAMBLE:
  case DATA:
  case EPILOGUE: break;
  }
  return NULL;
}

const char *multipart_feed(struct multipart *m, struct span bytes) {
  while (bytes.len && m->state != EPILOGUE) {
    if (m->state == PREAMBLE || m->state == DATA) {
      (m->matched ? match : pass)(m, &bytes);
      continue;
    }
    const char *why = multipart_step(m, *bytes.bytes);
    if (why) return why;
    bytes.bytes++, bytes.len--;
  }
  return NULL;
}

bool multipart_is_complete(const struct multipart *m) { return m->state == EPILOGUE; }
