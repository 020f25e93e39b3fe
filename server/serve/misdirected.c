// SPDX-License-Identifier: MIT
// A redirect keeps method and body (308), and is not kept by the application: whatever is on the port is sent
// on. A connection by TLS was made to one host, and a client may ask another's over it, as browsers do with a
// certificate of several names; where that one trusts other clients, it is asked over a connection of its own
// (RFC 9110 15.5.20).
#include "serve/misdirected.h"
#include "http/authority.h"
#include "loop/transport_tls.h"
#include "serve/error_reply.h"

static void write_location(const struct request *r, uint16_t port, struct buf *out) {
  struct span host = authority_host(r->host);
  bool has_path = r->path.len && r->path.bytes[0] == '/'; // not the "*" of OPTIONS
  buf_printf(out, "https://" SPAN_FMT, SPAN_ARG(host));
  if (port != 443) buf_printf(out, ":%u", port);
  buf_append_span(out, has_path ? r->path : SPAN("/"));
  if (r->query.len) buf_append_byte(out, '?'), buf_append_span(out, r->query);
}

static void redirect(struct stream *s, uint16_t port) {
  struct buf location = {0};
  if (!s->request->host.len) {
    error_reply(s, 400, "this server speaks https, and a redirect needs a Host");
    return;
  }
  write_location(s->request, port, &location);
  const struct field field = {SPAN("Location"), buf_span(&location)};
  stream_reply(s, 308, &field, 1, SPAN(""));
  buf_deinit(&location);
}

bool misdirected_answer(struct stream *s, const struct transport *t) {
  if (t->redirect_port) return redirect(s, t->redirect_port), true;
  if (transport_tls_may_ask(t, authority_host(s->request->host))) return false;
  error_reply(s, 421, "this host asks clients for a certificate: connect to it by its own name");
  return true;
}
