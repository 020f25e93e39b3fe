// SPDX-License-Identifier: MIT
// Response heads. One reservation, then copies: this runs for every response. The framing fields come from
// here alone, so that what is said of a body and what is sent cannot part ways; the caller's fields must hold
// none of them, nor line ends.
#include "http/http1.h"

enum { LENGTH_DIGITS_MAX = 20 };

static const char *const phrases[5][52] = {
    {[0] = "Continue", [1] = "Switching Protocols", [2] = "Processing", [3] = "Early Hints"},
    {[0] = "OK",
     [1] = "Created",
     [2] = "Accepted",
     [3] = "Non-Authoritative Information",
     [4] = "No Content",
     [5] = "Reset Content",
     [6] = "Partial Content",
     [7] = "Multi-Status",
     [8] = "Already Reported",
     [26] = "IM Used"},
    {[0] = "Multiple Choices",
     [1] = "Moved Permanently",
     [2] = "Found",
     [3] = "See Other",
     [4] = "Not Modified",
     [5] = "Use Proxy",
     [7] = "Temporary Redirect",
     [8] = "Permanent Redirect"},
    {[0] = "Bad Request",
     [1] = "Unauthorized",
     [2] = "Payment Required",
     [3] = "Forbidden",
     [4] = "Not Found",
     [5] = "Method Not Allowed",
     [6] = "Not Acceptable",
     [7] = "Proxy Authentication Required",
     [8] = "Request Timeout",
     [9] = "Conflict",
     [10] = "Gone",
     [11] = "Length Required",
     [12] = "Precondition Failed",
     [13] = "Content Too Large",
     [14] = "URI Too Long",
     [15] = "Unsupported Media Type",
     [16] = "Range Not Satisfiable",
     [17] = "Expectation Failed",
     [18] = "I'm a Teapot",
     [21] = "Misdirected Request",
     [22] = "Unprocessable Content",
     [23] = "Locked",
     [24] = "Failed Dependency",
     [25] = "Too Early",
     [26] = "Upgrade Required",
     [28] = "Precondition Required",
     [29] = "Too Many Requests",
     [31] = "Request Header Fields Too Large",
     [51] = "Unavailable For Legal Reasons"},
    {[0] = "Internal Server Error",
     [1] = "Not Implemented",
     [2] = "Bad Gateway",
     [3] = "Service Unavailable",
     [4] = "Gateway Timeout",
     [5] = "HTTP Version Not Supported",
     [6] = "Variant Also Negotiates",
     [7] = "Insufficient Storage",
     [8] = "Loop Detected",
     [10] = "Not Extended",
     [11] = "Network Authentication Required"},
};

const char *status_phrase(int status) {
  int group = status / 100 - 1, rest = status % 100;
  if (status < 100 || group >= (int)countof(phrases) || rest >= (int)countof(phrases[0])) return "";
  return phrases[group][rest] ? phrases[group][rest] : "";
}

static char *text_put(char *at, struct span s) {
  if (s.len) memcpy(at, s.bytes, s.len);
  return at + s.len;
}

static char *put_field(char *at, struct span name, struct span value) {
  at = text_put(text_put(at, name), SPAN(": "));
  return text_put(text_put(at, value), SPAN("\r\n"));
}

static char *put_status_line(char *at, int status, struct span phrase) {
  char code[] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10), (char)('0' + status % 10), ' '};
  at = text_put(at, SPAN("HTTP/1.1 "));
  at = text_put(text_put(at, (struct span){code, sizeof code}), phrase);
  return text_put(at, SPAN("\r\n"));
}

static char *put_length(char *at, uint64_t length) {
  char digits[LENGTH_DIGITS_MAX];
  size_t i = sizeof digits;
  do digits[--i] = (char)('0' + length % 10);
  while (length /= 10);
  return put_field(at, SPAN("Content-Length"), (struct span){digits + i, sizeof digits - i});
}

static char *put_framing(char *at, const struct response *r) {
  if (r->status == 205) return put_length(at, 0);
  if (r->framing == FRAMING_CHUNKED) return text_put(at, SPAN("Transfer-Encoding: chunked\r\n"));
  bool said = r->framing == FRAMING_LENGTH || (r->framing == FRAMING_NONE && r->has_length);
  return said ? put_length(at, r->content_length) : at;
}

static char *put_connection(char *at, const struct response *r, int minor) {
  bool keep_alive = r->keep_alive && r->framing != FRAMING_CLOSE;
  if (keep_alive && minor == 0) return text_put(at, SPAN("Connection: keep-alive\r\n"));
  return !keep_alive && minor >= 1 ? text_put(at, SPAN("Connection: close\r\n")) : at;
}

// Room for all that put_framing and put_connection may add, the status line, Date and the last line end.
static size_t head_len_max(const struct response *r, struct span phrase) {
  static const char rest[] = "HTTP/1.1 200 \r\nDate: \r\nTransfer-Encoding: chunked\r\n"
                             "Content-Length: \r\nConnection: keep-alive\r\n\r\n";
  size_t len = sizeof rest + LENGTH_DIGITS_MAX + phrase.len + r->date.len;
  for (size_t i = 0; i < r->field_count; i++)
    len += r->fields[i].name.len + r->fields[i].value.len + sizeof ": \r\n";
  return len;
}

void http1_write_head(const struct response *r, int minor, struct buf *out) {
  struct span phrase = span_of(status_phrase(r->status));
  char *at = buf_reserve(out, head_len_max(r, phrase));
  at = put_status_line(at, r->status, phrase);
  if (r->date.len) at = put_field(at, SPAN("Date"), r->date);
  for (size_t i = 0; i < r->field_count; i++) at = put_field(at, r->fields[i].name, r->fields[i].value);
  at = put_framing(at, r);
  at = put_connection(at, r, minor);
  at = text_put(at, SPAN("\r\n"));
  out->len = (size_t)(at - out->bytes);
}
