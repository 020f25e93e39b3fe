// SPDX-License-Identifier: MIT
// The delimiter begins with CR and has no other one, so what does not match it can begin again at the next CR
// only: no byte is looked at twice. What was taken for a delimiter and is none is handed on from the
// delimiter itself, so nothing of the data is kept between two calls. Preamble and epilogue are passed over.
#include "http/multipart.h"

enum state {
  PREAMBLE,
  DELIMITER, // behind its boundary
  DASH,      // behind "-" there
  PADDING,
  PADDING_LF,
  HEAD,
  DATA,
  EPILOGUE
};

static bool is_boundary_byte(char c) {
  return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
         (c && strchr("'()+_,-./:=? ", c));
}

// Takes `"..."` off the front of *rest, with \" and \\ for those two in it: other backslashes stand for
// themselves, since a browser may send a whole path. It is decoded in place. False where it does not end.
static bool take_quoted(struct span *rest, struct span *value) {
  char *out = (char *)rest->bytes + 1;
  size_t i = 1, len = 0;
  for (; i < rest->len && rest->bytes[i] != '"'; i++) {
    bool escapes = rest->bytes[i] == '\\' && i + 1 < rest->len &&
                   (rest->bytes[i + 1] == '"' || rest->bytes[i + 1] == '\\');
    out[len++] = rest->bytes[i += escapes];
  }
  if (i >= rest->len) return false;
  *value = (struct span){out, len};
  rest->bytes += i + 1, rest->len -= i + 1;
  return true;
}

static void skip_blanks(struct span *s) {
  while (s->len && (*s->bytes == ' ' || *s->bytes == '\t')) s->bytes++, s->len--;
}

// Takes `; name=value` off the front of *rest. 1; 0 at the end; -1 where it is no parameter.
static int take_parameter(struct span *rest, struct span *name, struct span *value) {
  size_t len = 0;
  skip_blanks(rest);
  if (rest->len && *rest->bytes != ';') return -1;
  while (rest->len && strchr("; \t", *rest->bytes)) rest->bytes++, rest->len--;
  if (!rest->len) return 0;
  while (len < rest->len && rest->bytes[len] != '=' && rest->bytes[len] != ';') len++;
  if (len == rest->len || rest->bytes[len] == ';') return -1;
  *name = span_trim((struct span){rest->bytes, len});
  rest->bytes += len + 1, rest->len -= len + 1;
  if (rest->len && *rest->bytes == '"') return take_quoted(rest, value) ? 1 : -1;
  for (len = 0; len < rest->len && rest->bytes[len] != ';'; len++) continue;
  *value = span_trim((struct span){rest->bytes, len});
  rest->bytes += len, rest->len -= len;
  return 1;
}

// The media type of a Content-Type field, without its parameters, as it stands there.
static struct span media_type(struct span content_type) { return span_trim(span_split(&content_type, ';')); }

// The text behind the media type.
static struct span parameters_of(struct span field) {
  const char *at = field.len ? memchr(field.bytes, ';', field.len) : NULL;
  return at ? (struct span){at, field.len - (size_t)(at - field.bytes)} : (struct span){0};
}

bool multipart_init(struct multipart *m, struct span content_type, const struct multipart_sink *sink,
                    void *owner) {
  char copy[1024];
  struct span rest = parameters_of(content_type), name, value, boundary = {0};
  if (!rest.len || rest.len > sizeof copy) return false;
  memcpy(copy, rest.bytes, rest.len); // quotes are taken off in place
  rest.bytes = copy;
  while (!boundary.len && take_parameter(&rest, &name, &value) > 0)
    if (span_equal_nocase(name, SPAN("boundary"))) boundary = value;
  if (!boundary.len || boundary.len > MULTIPART_BOUNDARY_MAX || boundary.bytes[boundary.len - 1] == ' ')
    return false;
  for (size_t i = 0; i < boundary.len; i++)
    if (!is_boundary_byte(boundary.bytes[i])) return false;
  m->sink = sink, m->owner = owner;
  m->state = PREAMBLE, m->head_len = 0;
  m->matched = m->assumed = 2;
  m->delimiter_len = (uint8_t)(4 + boundary.len);
  memcpy(m->delimiter, "\r\n--", 4);
  memcpy(m->delimiter + 4, boundary.bytes, boundary.len);
  return true;
}

static void emit(struct multipart *m, const char *bytes, size_t len) {
  if (m->state == DATA && len) m->sink->on_data(m->owner, (struct span){bytes, len});
}

// Passes on what is data, up to the end of a delimiter or of the input.
static void scan(struct multipart *m, struct span *in) {
  while (in->len) {
    if (!m->matched) {
      const char *cr = memchr(in->bytes, '\r', in->len);
      size_t len = cr ? (size_t)(cr - in->bytes) : in->len;
      emit(m, in->bytes, len);
      in->bytes += len, in->len -= len;
      if (!cr) return;
    }
    if (*in->bytes != m->delimiter[m->matched]) {
      emit(m, m->delimiter + m->assumed, (size_t)(m->matched - m->assumed));
      m->matched = m->assumed = 0;
      continue;
    }
    in->bytes++, in->len--;
    if (++m->matched < m->delimiter_len) continue;
    if (m->state == DATA) m->sink->on_part_end(m->owner);
    m->matched = m->assumed = 0, m->state = DELIMITER;
    return;
  }
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
  struct span name, rest = parameters_of(value);
  if (!span_equal_nocase(media_type(value), SPAN("form-data"))) return "a part that is no form-data";
  int more;
  while ((more = take_parameter(&rest, &name, &value)) > 0) {
    if (span_equal_nocase(name, SPAN("name")) && !part->name.bytes) part->name = value;
    else if (span_equal_nocase(name, SPAN("filename")) && !part->is_file)
      part->filename = last_segment(value), part->is_file = true;
  }
  return more < 0 ? "a part's Content-Disposition is malformed" : NULL;
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

static const char *end_head(struct multipart *m) {
  struct multipart_part part = {0};
  struct span rest = {m->head, m->head_len};
  while (rest.len > 2) { // the last line is empty
    size_t len = (size_t)((char *)memchr(rest.bytes, '\n', rest.len) - rest.bytes) - 1;
    const char *why = read_field((struct span){rest.bytes, len}, &part);
    if (why) return why;
    rest.bytes += len + 2, rest.len -= len + 2;
  }
  if (!part.name.bytes) return "a part without a name";
  m->head_len = 0, m->state = DATA;
  m->sink->on_part(m->owner, &part);
  m->matched = m->assumed = 2;
  return NULL;
}

static const char *step_head(struct multipart *m, char c) {
  if (m->head_len == sizeof m->head) return "a part's header is too long";
  bool was_cr = m->head_len && m->head[m->head_len - 1] == '\r';
  if ((c == '\n') != was_cr) return "a part's header is malformed";
  m->head[m->head_len++] = c;
  bool ends = c == '\n' && (m->head_len == 2 || (m->head_len > 3 && m->head[m->head_len - 3] == '\n'));
  return ends ? end_head(m) : NULL;
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
  case PADDING_LF: return m->state = HEAD, c == '\n' ? NULL : "a boundary with something behind it";
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
      scan(m, &bytes);
      continue;
    }
    const char *why = multipart_step(m, *bytes.bytes);
    if (why) return why;
    bytes.bytes++, bytes.len--;
  }
  return NULL;
}

bool multipart_is_complete(const struct multipart *m) { return m->state == EPILOGUE; }
