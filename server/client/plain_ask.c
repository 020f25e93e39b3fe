// SPDX-License-Identifier: MIT
// What libcurl says too, so that a server sees no difference: who asks and what is accepted are said where
// the script has not, and a method that has a body as a rule announces an empty one.
#include "client/plain_ask.h"
#include <stdio.h>

struct said {
  bool host, agent, accept;
};

static struct said find_said(const struct hop *h) {
  struct span rest = buf_span(&h->fields);
  struct said said = {0};
  struct field f;
  while (hop_next_field(&rest, &f)) {
    said.host |= span_equal_nocase(f.name, SPAN("host"));
    said.agent |= span_equal_nocase(f.name, SPAN("user-agent"));
    said.accept |= span_equal_nocase(f.name, SPAN("accept"));
  }
  return said;
}

static void add_text(struct buf *out, const char *text) { buf_append_span(out, span_of(text)); }

static void add_host(const struct hop *h, struct buf *out) {
  bool is_v6 = strchr(h->host, ':');
  char port[16];
  add_text(out, is_v6 ? "Host: [" : "Host: ");
  add_text(out, h->host);
  if (is_v6) add_text(out, "]");
  if (h->port != 80) snprintf(port, sizeof port, ":%u", h->port), add_text(out, port);
  add_text(out, "\r\n");
}

static void add_framing(const struct hop *h, struct buf *out) {
  if (!hop_has_body(h)) return;
  if (hop_is_chunked(h)) add_text(out, "Transfer-Encoding: chunked\r\n");
  else
    buf_printf(out, "Content-Length: %lld\r\n",
               h->body_kind == FETCH_BODY_PIECES ? (long long)h->body_length : (long long)h->body.len);
}

void plain_ask(const struct hop *h, struct buf *out) {
  struct said said = find_said(h);
  buf_reserve(out, 256 + strlen(h->target) + h->fields.len);
  add_text(out, h->method);
  add_text(out, " ");
  add_text(out, h->target);
  add_text(out, " HTTP/1.1\r\n");
  if (!said.host) add_host(h, out);
  if (!said.agent) add_text(out, "User-Agent: spate/" SPATE_VERSION "\r\n");
  if (!said.accept) add_text(out, "Accept: */*\r\n");
  add_framing(h, out);
  buf_append_span(out, buf_span(&h->fields));
  add_text(out, "\r\n");
}
