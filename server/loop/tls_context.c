// SPDX-License-Identifier: MIT
// One place for every option of the library. Buffers are given back while a connection is silent
// (SSL_MODE_RELEASE_BUFFERS), which is most of what it would cost; there is no cache of sessions, since
// tickets need none; ciphers of TLS 1.2 are those that HTTP/2 allows (RFC 9113 9.2.2), so that one list does
// for all protocols.
#include "loop/tls_context.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "loop/transport.h"

static const char CIPHERS[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

// Without finite fields, whose larger ones cost a server some ten times as much as its client. The first is
// known from OpenSSL 3.5 on.
static const char GROUPS_3_5[] = "X25519MLKEM768:X25519:P-256:P-384", GROUPS[] = "X25519:P-256:P-384";

// What is spoken above TLS (ALPN), the preferred one first, each behind its length.
#ifdef HAVE_NGHTTP2
#define HTTP2 "\x02h2"
#else
#define HTTP2 ""
#endif
static const unsigned char PROTOCOLS[] = HTTP2 "\x08http/1.1";
enum { HTTP2_LEN = sizeof HTTP2 - 1, PROTOCOLS_LEN = sizeof PROTOCOLS - 1 };

static void context_fail(char error[TLS_ERROR_MAX], const char *setting, const char *file) {
  unsigned long code = ERR_peek_error();
  const char *why =
      ERR_GET_LIB(code) == ERR_LIB_SYS ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
  if (ERR_GET_REASON(code) == PEM_R_NO_START_LINE && ERR_GET_LIB(code) == ERR_LIB_PEM) why = "no PEM in it";
  snprintf(error, TLS_ERROR_MAX, "tls.%s: %s: %s", setting, file, why ? why : "it cannot be read");
}

// Who offers nothing that we speak is refused, as RFC 7301 3.2 has it. `ours`: where in PROTOCOLS.
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                   unsigned in_len, void *ours) {
  (void)ssl;
  unsigned len = (unsigned)(PROTOCOLS + PROTOCOLS_LEN - (unsigned char *)ours);
  int chosen = SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_len, ours, len, in, in_len);
  return chosen == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

enum protocol tls_context_protocol(const struct ssl_st *ssl) {
  const unsigned char *name;
  unsigned len;
  SSL_get0_alpn_selected(ssl, &name, &len); // one of ours, of which "h2" alone is so short, or none
  return len == 2 ? PROTOCOL_HTTP2 : PROTOCOL_HTTP1;
}

// A name that is answered for, so that SSL_get_servername has it: which host that is was chosen before.
static int on_server_name(SSL *ssl, int *alert, void *arg) {
  (void)ssl, (void)alert, (void)arg;
  return SSL_TLSEXT_ERR_OK;
}

// Nobody is there to type it.
static int on_passphrase(char *out, int size, int writing, void *arg) {
  (void)out, (void)size, (void)writing, (void)arg;
  return -1;
}

// Whoever has signed it, whatever is wrong with it: SSL_get_verify_result says so.
static int on_any_certificate(int ok, X509_STORE_CTX *store) {
  (void)ok, (void)store;
  return true;
}

static bool read_certificate(SSL_CTX *c, const struct tls_config *config, const struct tls_host_config *host,
                             char *error) {
  const char *cert = tls_text(config, host->cert), *key = tls_text(config, host->key);
  if (!SSL_CTX_use_certificate_chain_file(c, cert)) context_fail(error, "cert", cert);
  else if (!SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM)) context_fail(error, "key", key);
  else if (!SSL_CTX_check_private_key(c)) context_fail(error, "key", key);
  else return true;
  return false;
}

// A file without a certificate, such as one of what was revoked, would have every client refused.
static bool read_client_ca(SSL_CTX *c, const char *file, char *error) {
  if (!*file) return true;
  STACK_OF(X509_NAME) *names =
      SSL_CTX_load_verify_locations(c, file, NULL) ? SSL_load_client_CA_file(file) : NULL;
  if (names) SSL_CTX_set_client_CA_list(c, names);
  else context_fail(error, "client_ca", file);
  return names;
}

static bool choose_groups(SSL_CTX *c, const char *groups) {
  if (*groups) return SSL_CTX_set1_groups_list(c, groups);
  bool ok = SSL_CTX_set1_groups_list(c, GROUPS_3_5) || SSL_CTX_set1_groups_list(c, GROUPS);
  ERR_clear_error(); // of a name that this library does not know
  return ok;
}

static bool choose_ciphers(SSL_CTX *c, const struct tls_config *config, char *error) {
  const char *ciphers = tls_text(config, config->ciphers), *groups = tls_text(config, config->groups);
  if (!*ciphers) ciphers = CIPHERS;
  if (!SSL_CTX_set_cipher_list(c, ciphers)) context_fail(error, "ciphers", ciphers);
  else if (!choose_groups(c, groups)) context_fail(error, "groups", groups);
  else return true;
  return false;
}

static void ask_clients(SSL_CTX *c, enum tls_clients clients) {
  int mode = clients == TLS_CLIENTS_UNASKED ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
  if (clients == TLS_CLIENTS_REQUIRED) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(c, mode, clients == TLS_CLIENTS_ANY ? on_any_certificate : NULL);
}

void tls_context_apply(SSL_CTX *context, SSL *ssl) {
  SSL_set_SSL_CTX(ssl, context);
  SSL_set_verify(ssl, SSL_CTX_get_verify_mode(context), SSL_CTX_get_verify_callback(context));
}

SSL_CTX *tls_context_new(const struct tls_config *config, const struct tls_host_config *host,
                         char error[TLS_ERROR_MAX]) {
  ERR_clear_error();
  SSL_CTX *c = mem_check(SSL_CTX_new(TLS_server_method()), sizeof *config);
  SSL_CTX_set_min_proto_version(c, config->is_min_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_options(c,
                      SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(c, 1);
  SSL_CTX_set_default_passwd_cb(c, on_passphrase);
  SSL_CTX_set_alpn_select_cb(c, on_alpn,
                             (void *)(uintptr_t)(PROTOCOLS + (config->without_http2 ? HTTP2_LEN : 0)));
  SSL_CTX_set_tlsext_servername_callback(c, on_server_name);
  ask_clients(c, (enum tls_clients)host->clients);
  if (choose_ciphers(c, config, error) && read_certificate(c, config, host, error) &&
      read_client_ca(c, tls_text(config, host->client_ca), error))
    return c;
  SSL_CTX_free(c);
  return NULL;
}
