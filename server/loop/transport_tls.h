// SPDX-License-Identifier: MIT
// A transport over another: TLS 1.2 or 1.3 as a server. Its on_open comes once the handshake is done, with
// the protocol that was agreed on. Worker thread only.
#pragma once
#include "base/buf.h"
#include "loop/tls_server.h"
#include "loop/transport.h"

// Takes `under`. NULL where too many handshakes are under way: `under` is closed then.
struct transport *transport_tls_new(struct tls_server *server, struct transport *under);

// Appends what is known of an open connection, each a name, a NUL, a value and a NUL: version, cipher, sni,
// resumed; of a client's certificate subject, issuer, fingerprint, verified, and any number of san. False
// where it is no TLS.
bool transport_tls_describe(const struct transport *t, struct buf *out);

// Whether a request to this host may come by this transport, as tls_hosts_may_ask; true where it is no TLS.
bool transport_tls_may_ask(const struct transport *t, struct span host);
