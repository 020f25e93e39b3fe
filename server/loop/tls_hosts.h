// SPDX-License-Identifier: MIT
// The hosts that are served by TLS: for each its certificate, key and what its clients have to show. A set is
// never changed; new certificates are a new set, and connections keep the one that they began with. Counted;
// any thread.
#pragma once
#include <stdbool.h>
#include "base/span.h"
#include "loop/tls_context.h"
#include "loop/tls_keys.h"

struct tls_hosts;

// Reads what the settings name. NULL where that cannot serve, with what is wrong and which file in `error`.
// `keys` outlive it.
struct tls_hosts *tls_hosts_new(const struct tls_config *config, struct tls_keys *keys,
                                char error[TLS_ERROR_MAX]);

struct tls_hosts *tls_hosts_ref(struct tls_hosts *h);
void tls_hosts_unref(struct tls_hosts *h);

// Whether a client can ask for such a name: one of labels, or "*." and labels for whatever stands in their
// front.
bool tls_name_is_asked(const char *name);

// The server's side of a connection, which chooses a host by the name that the client says.
struct ssl_st *tls_hosts_accept(struct tls_hosts *h);

// Whether a request to `name` may come over a connection that was made to the host `met`: not where that is
// another host, whose clients have to show what these have not.
bool tls_hosts_may_ask(const struct tls_hosts *h, size_t met, struct span name);

// The host that a connection was made to, once its handshake is done.
size_t tls_hosts_met(const struct tls_hosts *h, const struct ssl_st *ssl);

// Whether a name of the host `i` is one of an earlier host, `*other`, too, which then serves it; `*name` is
// the first such, borrowed.
bool tls_hosts_find_twice(const struct tls_hosts *h, size_t i, size_t *other, const char **name);

// For each certificate the seconds from `wall` until it ends.
void tls_hosts_each_end(const struct tls_hosts *h, double wall,
                        void (*fn)(void *arg, const char *file, double seconds), void *arg);
