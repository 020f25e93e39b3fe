// SPDX-License-Identifier: MIT
// OpenSSL's context of one host: its certificate and key, what clients have to show, what is spoken. Main
// thread; once it is used, any.
#pragma once
#include "loop/tls_config.h"
#include "loop/transport.h"

enum { TLS_ERROR_MAX = 512 };

struct ssl_ctx_st;
struct ssl_st;

// NULL where a file cannot serve, with what is wrong in `error`.
struct ssl_ctx_st *tls_context_new(const struct tls_config *config, const struct tls_host_config *host,
                                   char error[TLS_ERROR_MAX]);

// What is asked of a host's clients, also of one whose connection another host's context has begun:
// SSL_set_SSL_CTX carries the certificate and no more.
void tls_context_apply(struct ssl_ctx_st *context, struct ssl_st *ssl);

// What both sides have agreed to speak above TLS; HTTP/1 where the client did not say.
enum protocol tls_context_protocol(const struct ssl_st *ssl);
