// SPDX-License-Identifier: MIT
// The host is chosen in the callback of the ClientHello, before anything else is read of it: a ticket is
// opened later, and by then the session's context has to be this host's, so that a ticket of another does not
// fit. That context is a digest of who the host is and of whom it trusts; it is the same after a reload, and
// another once client_ca is.
#include "loop/tls_hosts.h"
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/buf.h"
#include "base/mem.h"
#include "base/util.h"

enum { DIGEST_LEN = 32, NAMES_MAX = 256, NAME_LEN_MAX = 255, PIECE_LEN = 4096 };

struct host {
  SSL_CTX *context;
  char **names; // in the order of the certificate
  size_t name_count;
  char *cert; // the file
  enum tls_clients clients;
  unsigned char trust[DIGEST_LEN];   // of whom its clients have to be signed by
  unsigned char session[DIGEST_LEN]; // of that and its names
};

struct tls_hosts {
  atomic_uint users;
  struct tls_keys *keys;
  size_t count;
  struct host hosts[];
};

static const struct tls_hosts *hosts_of(SSL *ssl) { return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)); }

static bool is_wildcard(const char *name) { return !strncmp(name, "*.", 2); }

// "b.example", or a wildcard for one label: "*.b.example".
static bool name_is(const char *name, struct span asked) {
  if (!is_wildcard(name)) return span_equal_nocase(span_of(name), asked);
  struct span label = span_split(&asked, '.');
  return label.len && span_equal_nocase(span_of(name + 2), asked);
}

bool tls_name_is_asked(const char *name) {
  static const char KNOWN[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  if (is_wildcard(name)) name += 2;
  size_t len = strlen(name);
  return *name && *name != '.' && strspn(name, KNOWN) == len && len <= NAME_LEN_MAX;
}

static bool host_has(const struct host *h, struct span name, bool as_wildcard) {
  for (size_t i = 0; i < h->name_count; i++)
    if ((h->names[i][0] == '*') == as_wildcard && name_is(h->names[i], name)) return true;
  return false;
}

static bool find_by(const struct tls_hosts *h, struct span name, bool as_wildcard, size_t *i) {
  for (*i = 0; *i < h->count; ++*i)
    if (host_has(&h->hosts[*i], name, as_wildcard)) return true;
  return false;
}

// An exact name goes before a wildcard; nobody's name is the first host's.
static size_t hosts_find(const struct tls_hosts *h, struct span name) {
  size_t i;
  if (name.len && name.bytes[name.len - 1] == '.') name.len--;
  return find_by(h, name, false, &i) || find_by(h, name, true, &i) ? i : 0;
}

// The one name of the extension (RFC 6066 3), behind the list's length, its type and its own length. OpenSSL
// refuses what is anything else a step later.
static struct span asked_name(SSL *ssl) {
  const unsigned char *e;
  size_t len;
  if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &e, &len)) return span_of("");
  size_t before = MIN(len, 5);
  return (struct span){(const char *)e + before, len - before};
}

static int on_client_hello(SSL *ssl, int *alert, void *arg) {
  const struct tls_hosts *h = arg;
  const struct host *host = &h->hosts[hosts_find(h, asked_name(ssl))];
  (void)alert;
  tls_context_apply(host->context, ssl);
  SSL_set_session_id_context(ssl, host->session, sizeof host->session);
  return SSL_CLIENT_HELLO_SUCCESS;
}

static bool set_ticket_key(const struct tls_key *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher,
                           EVP_MAC_CTX *mac, bool makes) {
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac, sizeof key->mac),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
      OSSL_PARAM_construct_end()};
  return EVP_MAC_CTX_set_params(mac, params) &&
         EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, makes) == 1;
}

// 2 for each ticket that is known: its client gets a new one. With 1 a client of TLS 1.3, which uses a ticket
// once, would have none for the connection after this.
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int makes) {
  struct tls_keys *keys = hosts_of(ssl)->keys;
  struct tls_key key;
  bool ok =
      makes ? RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 && tls_keys_current(keys, &key)
            : tls_keys_find(keys, name, &key);
  if (!ok) return makes ? -1 : 0;
  if (makes) memcpy(name, key.name, sizeof key.name);
  ok = set_ticket_key(&key, iv, cipher, mac, makes);
  OPENSSL_cleanse(&key, sizeof key);
  return !ok ? -1 : makes ? 1 : 2;
}

static void host_add_name(struct host *h, const char *name) {
  if (tls_name_is_asked(name) && h->name_count < NAMES_MAX) h->names[h->name_count++] = xstrdup(name);
}

// The DNS names of the certificate (RFC 9525 6.3: no other field has any).
static void host_add_names(struct host *h, X509 *cert) {
  GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
    const GENERAL_NAME *each = sk_GENERAL_NAME_value(all, i);
    if (each->type != GEN_DNS) continue;
    const char *name = (const char *)ASN1_STRING_get0_data(each->d.dNSName);
    if (strlen(name) == (size_t)ASN1_STRING_length(each->d.dNSName)) host_add_name(h, name);
  }
  GENERAL_NAMES_free(all);
}

static void append_file(struct buf *out, const char *path) {
  FILE *f = *path ? fopen(path, "re") : NULL;
  for (size_t n; f && (n = fread(buf_reserve(out, PIECE_LEN), 1, PIECE_LEN, f)) > 0;) out->len += n;
  if (f) fclose(f);
}

// Empties `all`.
static void digest(unsigned char out[DIGEST_LEN], struct buf *all) {
  if (!EVP_Digest(all->bytes, all->len, out, NULL, EVP_sha256(), NULL)) abort();
  all->len = 0;
}

static void host_digest(struct host *h, const char *client_ca) {
  struct buf all = {0};
  buf_append_byte(&all, (char)h->clients);
  append_file(&all, client_ca);
  digest(h->trust, &all);
  buf_append(&all, h->trust, sizeof h->trust);
  for (size_t i = 0; i < h->name_count; i++) buf_printf(&all, "%s,", h->names[i]);
  digest(h->session, &all);
  buf_deinit(&all);
}

static bool host_init(struct host *h, struct tls_hosts *all, const struct tls_config *config,
                      const struct tls_host_config *from, char *error) {
  const char *name = tls_text(config, from->name);
  *h = (struct host){.context = tls_context_new(config, from, error),
                     .names = xcalloc(NAMES_MAX, sizeof *h->names),
                     .cert = xstrdup(tls_text(config, from->cert)),
                     .clients = (enum tls_clients)from->clients};
  if (!h->context) return false;
  if (*name) host_add_name(h, name);
  else host_add_names(h, SSL_CTX_get0_certificate(h->context));
  if (!h->name_count && all->count > 1) {
    snprintf(error, TLS_ERROR_MAX,
             "tls.cert: %s: it has no name of a host, so nobody is served by it: expected name beside it",
             h->cert);
    return false;
  }
  SSL_CTX_set_app_data(h->context, all);
  SSL_CTX_set_client_hello_cb(h->context, on_client_hello, all);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(h->context, on_ticket);
  host_digest(h, tls_text(config, from->client_ca));
  return true;
}

static void hosts_free(struct tls_hosts *h) {
  for (size_t i = 0; i < h->count; i++) {
    struct host *host = &h->hosts[i];
    SSL_CTX_free(host->context);
    for (size_t n = 0; n < host->name_count; n++) free(host->names[n]);
    free(host->names);
    free(host->cert);
  }
  free(h);
}

struct tls_hosts *tls_hosts_new(const struct tls_config *config, struct tls_keys *keys,
                                char error[TLS_ERROR_MAX]) {
  struct tls_hosts *h = xcalloc(1, sizeof *h + config->count * sizeof *h->hosts);
  atomic_init(&h->users, 1);
  h->keys = keys;
  while (h->count < config->count) {
    const struct tls_host_config *from = &config->hosts[h->count];
    if (host_init(&h->hosts[h->count++], h, config, from, error)) continue;
    hosts_free(h);
    return NULL;
  }
  return h;
}

struct tls_hosts *tls_hosts_ref(struct tls_hosts *h) {
  atomic_fetch_add_explicit(&h->users, 1, memory_order_relaxed);
  return h;
}

void tls_hosts_unref(struct tls_hosts *h) {
  if (h && atomic_fetch_sub(&h->users, 1) == 1) hosts_free(h);
}

SSL *tls_hosts_accept(struct tls_hosts *h) {
  SSL *ssl = mem_check(SSL_new(h->hosts[0].context), sizeof *h);
  SSL_set_accept_state(ssl);
  return ssl;
}

size_t tls_hosts_met(const struct tls_hosts *h, const SSL *ssl) {
  size_t i = 0;
  while (h->hosts[i].context != SSL_get_SSL_CTX(ssl)) i++;
  return i;
}

bool tls_hosts_may_ask(const struct tls_hosts *h, size_t met, struct span name) {
  const struct host *asked = &h->hosts[hosts_find(h, name)];
  return asked == &h->hosts[met] || asked->clients == TLS_CLIENTS_UNASKED ||
         !memcmp(asked->trust, h->hosts[met].trust, DIGEST_LEN);
}

static bool host_is_named(const struct host *h, const char *name) {
  for (size_t i = 0; i < h->name_count; i++)
    if (span_equal_nocase(span_of(h->names[i]), span_of(name))) return true;
  return false;
}

bool tls_hosts_find_twice(const struct tls_hosts *h, size_t i, size_t *other, const char **name) {
  for (size_t n = 0; n < h->hosts[i].name_count; n++)
    for (*other = 0, *name = h->hosts[i].names[n]; *other < i; ++*other)
      if (host_is_named(&h->hosts[*other], *name)) return true;
  return false;
}

static double seconds_left(X509 *cert, double wall) {
  struct tm tm = {0};
  ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm);
  return (double)timegm(&tm) - wall;
}

void tls_hosts_each_end(const struct tls_hosts *h, double wall,
                        void (*fn)(void *arg, const char *file, double seconds), void *arg) {
  for (size_t i = 0; i < h->count; i++)
    fn(arg, h->hosts[i].cert, seconds_left(SSL_CTX_get0_certificate(h->hosts[i].context), wall));
}
