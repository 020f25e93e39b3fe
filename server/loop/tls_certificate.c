// SPDX-License-Identifier: MIT
// What a certificate says is its maker's text: control characters are escaped, and a name with a NUL in it,
// which may look like another's, is left out.
#include "loop/tls_certificate.h"
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/util.h"

enum { YEAR = 365 * 86400, SERIAL_LEN = 16 };

static void add(struct buf *out, const char *name, struct span value) {
  if (!value.bytes || memchr(value.bytes, 0, value.len)) return;
  buf_append(out, name, strlen(name) + 1);
  buf_append_span(out, value);
  buf_append_byte(out, 0);
}

static void add_text(struct buf *out, const char *name, const char *value) {
  if (value) add(out, name, span_of(value));
}

static void add_name(struct buf *out, const char *name, const X509_NAME *value) {
  BIO *b = BIO_new(BIO_s_mem());
  char *bytes;
  if (!b) return;
  X509_NAME_print_ex(b, value, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  long len = BIO_get_mem_data(b, &bytes);
  add(out, name, (struct span){len > 0 ? bytes : "", len > 0 ? (size_t)len : 0});
  BIO_free(b);
}

static void add_fingerprint(struct buf *out, const X509 *cert) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned len = 0;
  char text[2 * EVP_MAX_MD_SIZE + 1] = "";
  X509_digest(cert, EVP_sha256(), digest, &len);
  for (unsigned i = 0; i < len; i++) snprintf(text + 2 * (size_t)i, 3, "%02x", digest[i]);
  add_text(out, "fingerprint", text);
}

static void add_san(struct buf *out, const GENERAL_NAME *each) {
  static const struct {
    int type;
    const char *prefix;
  } kinds[] = {{GEN_DNS, "DNS:"}, {GEN_EMAIL, "email:"}, {GEN_URI, "URI:"}};
  char text[1024];
  for (size_t i = 0; i < countof(kinds); i++) {
    if (each->type != kinds[i].type) continue;
    const ASN1_STRING *value = each->d.ia5;
    int len = ASN1_STRING_length(value);
    const char *bytes = (const char *)ASN1_STRING_get0_data(value);
    if (memchr(bytes, 0, (size_t)len)) return;
    int n = snprintf(text, sizeof text, "%s%.*s", kinds[i].prefix, len, bytes);
    if (n > 0 && (size_t)n < sizeof text) add_text(out, "san", text);
  }
}

static void add_client(struct buf *out, const SSL *ssl, X509 *cert) {
  add_name(out, "subject", X509_get_subject_name(cert));
  add_name(out, "issuer", X509_get_issuer_name(cert));
  add_fingerprint(out, cert);
  add_text(out, "verified", SSL_get_verify_result(ssl) == X509_V_OK ? "true" : "");
  GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) add_san(out, sk_GENERAL_NAME_value(names, i));
  GENERAL_NAMES_free(names);
}

void tls_connection_describe(const SSL *ssl, struct buf *out) {
  X509 *cert = SSL_get0_peer_certificate(ssl);
  add_text(out, "version", SSL_get_version(ssl));
  add_text(out, "cipher", SSL_get_cipher_name(ssl));
  add_text(out, "sni", SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
  add_text(out, "resumed", SSL_session_reused((SSL *)(uintptr_t)ssl) ? "true" : "");
  if (cert) add_client(out, ssl, cert);
}

static bool add_extension(X509 *cert, int nid, const char *value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, cert, cert, NULL, NULL, 0);
  X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
  bool ok = e && X509_add_ext(cert, e, -1) == 1;
  X509_EXTENSION_free(e);
  return ok;
}

static bool set_serial(X509 *cert) {
  unsigned char bytes[SERIAL_LEN];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return false;
  BIGNUM *n = BN_bin2bn(bytes, sizeof bytes, NULL);
  bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
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
         add_extension(cert, NID_ext_key_usage, "serverAuth") && X509_sign(cert, key, EVP_sha256()) > 0;
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
  ok = c && PEM_write_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) == 1 && PEM_write_X509(c, cert) == 1;
  if (k && fclose(k) != 0) ok = false;
  if (c && fclose(c) != 0) ok = false;
  X509_free(cert);
  EVP_PKEY_free(key);
  return ok ? 0 : -1;
}
