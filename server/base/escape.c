// SPDX-License-Identifier: MIT
// Nearly all text is plain: runs of it are found by a table and copied whole, and only what is left is looked
// at as UTF-8.
#include "base/escape.h"
#include "base/utf8.h"

// Nearly all that is written: whole runs of it are passed over and copied.
enum { TEXT = 1, QUOTED = 2, WORD = 4 }; // in a line, between quotes, without quotes

static const unsigned char classes[256] = {
    [' '] = TEXT | QUOTED, ['!'] = TEXT | QUOTED | WORD,
    ['"'] = TEXT,          ['#' ... '['] = TEXT | QUOTED | WORD,
    ['\\'] = TEXT,         [']' ... '~'] = TEXT | QUOTED | WORD,
};

static size_t run_len(struct span s, size_t from, int class) {
  size_t i = from;
  while (i < s.len && (classes[(unsigned char)s.bytes[i]] & class)) i++;
  return i - from;
}

static size_t append_run(struct buf *b, struct span s, size_t from, int class) {
  size_t len = run_len(s, from, class);
  buf_append(b, s.bytes + from, len);
  return len;
}

static bool is_c1(const unsigned char *s, size_t len) { return len == 2 && s[0] == 0xc2 && s[1] < 0xa0; }

// The length of the character at `s` where it may be written as it is, else 0.
static size_t plain_len(const unsigned char *s, size_t left) {
  if (s[0] < 0x80) return s[0] >= 0x20 && s[0] != 0x7f;
  size_t len = utf8_len(s, left);
  return is_c1(s, len) ? 0 : len;
}

void escape_quoted(struct buf *b, struct span s, bool json) {
  for (size_t i = append_run(b, s, 0, QUOTED); i < s.len; i++, i += append_run(b, s, i, QUOTED)) {
    const unsigned char *at = (const unsigned char *)s.bytes + i;
    size_t len = plain_len(at, s.len - i);
    if (*at == '"' || *at == '\\') buf_append_byte(b, '\\');
    if (len) buf_append(b, at, len), i += len - 1;
    else if (*at == '\n') buf_append_span(b, SPAN("\\n"));
    else if (!json) buf_printf(b, "\\x%02x", *at);
    else if (*at >= 0x80 && is_c1(at, utf8_len(at, s.len - i))) buf_printf(b, "\\u%04x", at[1]), i++;
    else buf_printf(b, "\\u%04x", *at);
  }
}

void escape_lines(struct buf *b, struct span s, struct span indent) {
  for (size_t i = append_run(b, s, 0, TEXT); i < s.len; i++, i += append_run(b, s, i, TEXT)) {
    const unsigned char *at = (const unsigned char *)s.bytes + i;
    size_t len = *at == '\t' ? 1 : plain_len(at, s.len - i);
    if (len) buf_append(b, at, len), i += len - 1;
    else if (*at != '\n') buf_printf(b, "\\x%02x", *at);
    else {
      buf_append_byte(b, '\n');
      if (i + 1 >= s.len || at[1] != '\t') buf_append_span(b, indent);
    }
  }
}

bool escape_needs_quotes(struct span s, char also) {
  if (also && s.len && memchr(s.bytes, also, s.len)) return true;
  for (size_t i = run_len(s, 0, WORD); i < s.len; i += run_len(s, i, WORD)) {
    const unsigned char *at = (const unsigned char *)s.bytes + i;
    size_t len = plain_len(at, s.len - i);
    if (!len || *at == ' ' || *at == '"' || *at == '\\') return true;
    i += len;
  }
  return s.len == 0;
}
