// SPDX-License-Identifier: MIT
// What a certificate says is its maker's text: control characters are escaped, and a name with a NUL in it,
// which may look like another's, is left out.
#include "loop/tls_certificate.h"
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/bn.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/util.h"

enum { YEAR = 365 * 86400, SERIAL_BITS = 128 };

static void add(struct buf *out, const char *name, const char *value) {
  if (!value) return;
  buf_append(out, name, strlen(name) + 1);
  buf_append(out, value, strlen(value) + 1);
}

static void add_name(struct buf *out, const char *name, const X509_NAME *value) {
  BIO *b = mem_check(BIO_new(BIO_s_mem()), sizeof *out);
  char *text;
  X509_NAME_print_ex(b, value, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  BIO_write(b, "", sizeof "");
  BIO_get_mem_data(b, &text);
  add(out, name, text);
  BIO_free(b);
}

static void add_fingerprint(struct buf *out, const X509 *cert) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned len;
  X509_digest(cert, EVP_sha256(), digest, &len);
  buf_printf(out, "fingerprint%c", 0);
  for (unsigned i = 0; i < len; i++) buf_printf(out, "%02x", digest[i]);
  buf_append_byte(out, 0);
}

static void add_san(struct buf *out, const GENERAL_NAME *each) {
  static const struct {
    int type;
    const char *prefix;
  } kinds[] = {{GEN_DNS, "DNS:"}, {GEN_EMAIL, "email:"}, {GEN_URI, "URI:"}};
  for (size_t i = 0; i < countof(kinds); i++) {
    if (each->type != kinds[i].type) continue;
    const char *value = (const char *)ASN1_STRING_get0_data(each->d.ia5);
    if (strlen(value) == (size_t)ASN1_STRING_length(each->d.ia5))
      buf_printf(out, "san%c%s%s%c", 0, kinds[i].prefix, value, 0);
  }
}

static void add_client(struct buf *out, const SSL *ssl, X509 *cert) {
  add_name(out, "subject", X509_get_subject_name(cert));
  add_name(out, "issuer", X509_get_issuer_name(cert));
  add_fingerprint(out, cert);
  add(out, "verified", SSL_get_verify_result(ssl) == X509_V_OK ? "true" : "");
  GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) add_san(out, sk_GENERAL_NAME_value(names, i));
  GENERAL_NAMES_free(names);
}

void tls_connection_describe(const SSL *ssl, struct buf *out) {
  X509 *cert = SSL_get0_peer_certificate(ssl);
  add(out, "version", SSL_get_version(ssl));
  add(out, "cipher", SSL_get_cipher_name(ssl));
  add(out, "sni", SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
  add(out, "resumed", SSL_session_reused((SSL *)(uintptr_t)ssl) ? "true" : "");
  if (cert) add_client(out, ssl, cert);
}

static bool add_extension(X509 *cert, int nid, const char *value) {
  X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
  bool ok = e && X509_add_ext(cert, e, -1);
  X509_EXTENSION_free(e);
  return ok;
}

static bool set_serial(X509 *cert) {
  BIGNUM *n = BN_new();
  bool ok = n && BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
            BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
  BN_free(n);
  return ok;
}

// Self-signed, and no authority: whoever trusts it trusts this key for these names only.
static bool fill(X509 *cert, EVP_PKEY *key) {
  X509_NAME *name = X509_get_subject_name(cert);
  return X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
         X509_gmtime_adj(X509_getm_notBefore(cert), -3600) &&
         X509_gmtime_adj(X509_getm_notAfter(cert), YEAR) &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost (spate dev)",
                                    -1, -1, 0) &&
         X509_set_issuer_name(cert, name) && X509_set_pubkey(cert, key) &&
         add_extension(cert, NID_subject_alt_name, "DNS:localhost,DNS:*.localhost,IP:127.0.0.1,IP:::1") &&
         add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(cert, NID_key_usage, "critical,digitalSignature") &&
         add_extension(cert, NID_ext_key_usage, "serverAuth") && X509_sign(cert, key, EVP_sha256());
}

static FILE *create(const char *path, int mode) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd >= 0) fchmod(fd, (mode_t)mode);
  return fd < 0 ? NULL : fdopen(fd, "w");
}

int tls_certificate_make(const char *cert_path, const char *key_path) {
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *cert = X509_new();
  bool ok = key && cert && fill(cert, key);
  FILE *k = ok ? create(key_path, 0600) : NULL, *c = k ? create(cert_path, 0644) : NULL;
  ok = c && PEM_write_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) && PEM_write_X509(c, cert);
  if (k && fclose(k)) ok = false;
  if (c && fclose(c)) ok = false;
  X509_free(cert);
  EVP_PKEY_free(key);
  return ok ? 0 : -1;
}
