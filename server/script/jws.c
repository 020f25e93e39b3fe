// SPDX-License-Identifier: MIT
// What RFC 7518 adds to a digest and a key: how long a secret has to be, which curve goes with which digest,
// the salt of PSS, and the form of an ECDSA signature, which is r and s of fixed width where OpenSSL wants
// DER. Nothing here looks at a token's header: whoever has the key has chosen the algorithm.
#include "script/jws.h"
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>
#include "base/util.h"

enum { RSA_BITS_MIN = 2048, DER_MAX = 160 };
enum scheme { SCHEME_HMAC, SCHEME_RSA, SCHEME_PSS, SCHEME_ECDSA, SCHEME_EDDSA };

struct jws_algorithm {
  const char *name;
  enum scheme scheme;
  const char *digest, *curve;
  int size; // bytes of a secret at least (RFC 7518 3.2), or of r and of s
};

static const struct jws_algorithm algorithms[] = {{"HS256", SCHEME_HMAC, "SHA256", NULL, 32},
                                                  {"HS384", SCHEME_HMAC, "SHA384", NULL, 48},
                                                  {"HS512", SCHEME_HMAC, "SHA512", NULL, 64},
                                                  {"RS256", SCHEME_RSA, "SHA256", NULL, 0},
                                                  {"RS384", SCHEME_RSA, "SHA384", NULL, 0},
                                                  {"RS512", SCHEME_RSA, "SHA512", NULL, 0},
                                                  {"PS256", SCHEME_PSS, "SHA256", NULL, 0},
                                                  {"PS384", SCHEME_PSS, "SHA384", NULL, 0},
                                                  {"PS512", SCHEME_PSS, "SHA512", NULL, 0},
                                                  {"ES256", SCHEME_ECDSA, "SHA256", "prime256v1", 32},
                                                  {"ES384", SCHEME_ECDSA, "SHA384", "secp384r1", 48},
                                                  {"ES512", SCHEME_ECDSA, "SHA512", "secp521r1", 66},
                                                  {"EdDSA", SCHEME_EDDSA, NULL, NULL, 0}};

static const struct jws_algorithm *algorithm_of(const char *name) {
  for (size_t i = 0; i < countof(algorithms); i++)
    if (!strcmp(algorithms[i].name, name)) return &algorithms[i];
  return NULL;
}

static const char *secret_fault(struct span text, const struct jws_algorithm *a) {
  if (memmem(text.bytes, text.len, "-----BEGIN", 10))
    return "a PEM file is no secret; is the algorithm right?";
  if (text.len >= (size_t)a->size) return NULL;
  return a->size == 32
             ? "the secret has less than 32 bytes"
             : (a->size == 48 ? "the secret has less than 48 bytes" : "the secret has less than 64 bytes");
}

static bool is_of_scheme(const EVP_PKEY *key, enum scheme scheme) {
  int type = EVP_PKEY_get_base_id(key);
  switch (scheme) {
  case SCHEME_RSA: return type == EVP_PKEY_RSA;
  case SCHEME_PSS: return type == EVP_PKEY_RSA || type == EVP_PKEY_RSA_PSS;
  case SCHEME_ECDSA: return type == EVP_PKEY_EC;
  case SCHEME_EDDSA: return type == EVP_PKEY_ED25519 || type == EVP_PKEY_ED448;
  default: return false;
  }
}

static const char *public_key_fault(const EVP_PKEY *key, const struct jws_algorithm *a) {
  char curve[64] = "";
  if (!key) return "expected a public key in PEM (-----BEGIN PUBLIC KEY-----)";
  if (!is_of_scheme(key, a->scheme)) return "the key is of another kind than the algorithm";
  if (a->scheme == SCHEME_RSA || a->scheme == SCHEME_PSS)
    return EVP_PKEY_get_bits(key) < RSA_BITS_MIN ? "the key has less than 2048 bits" : NULL;
  if (a->scheme != SCHEME_ECDSA) return NULL;
  EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL);
  return strcmp(curve, a->curve) != 0 ? "the key is on another curve than the algorithm's" : NULL;
}

static int no_password(char *buf, int size, int rwflag, void *u) {
  (void)buf, (void)size, (void)rwflag, (void)u;
  return -1;
}

static EVP_PKEY *read_public_key(struct span text) {
  BIO *in = BIO_new_mem_buf(text.bytes, (int)text.len);
  EVP_PKEY *key = in ? PEM_read_bio_PUBKEY(in, NULL, no_password, NULL) : NULL;
  BIO_free(in);
  return key;
}

const char *jws_key_init(struct jws_key *k, const char *algorithm, struct span text) {
  const struct jws_algorithm *a = algorithm_of(algorithm);
  const char *fault = NULL;
  *k = (struct jws_key){.algorithm = a};
  if (!a) return "expected HS256, HS384, HS512, the same of RS, PS or ES, or EdDSA as alg";
  if (a->scheme == SCHEME_HMAC) {
    fault = secret_fault(text, a);
    if (!fault)
      k->key = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, (const unsigned char *)text.bytes, text.len);
    if (!fault && !k->key) fault = "libcrypto does not take it";
  } else {
    k->key = read_public_key(text);
    fault = public_key_fault(k->key, a);
  }
  if (fault) jws_key_deinit(k);
  ERR_clear_error();
  return fault;
}

void jws_key_deinit(struct jws_key *k) {
  EVP_PKEY_free(k->key);
  k->key = NULL;
}

static bool is_mac(const struct jws_key *k, const EVP_MD *digest, struct span input, struct span signature) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  size_t len = sizeof mac;
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  bool done = ctx && EVP_DigestSignInit(ctx, NULL, digest, NULL, k->key) == 1 &&
              EVP_DigestSign(ctx, mac, &len, (const unsigned char *)input.bytes, input.len) == 1;
  EVP_MD_CTX_free(ctx);
  return done && signature.len == len && !CRYPTO_memcmp(mac, signature.bytes, len);
}

// From r and s of `size` bytes each to DER in `out`: its length; 0 where they are something else.
static size_t to_der(struct span raw, int size, unsigned char out[DER_MAX]) {
  const unsigned char *bytes = (const unsigned char *)raw.bytes;
  if (raw.len != 2 * (size_t)size) return 0;
  BIGNUM *r = BN_bin2bn(bytes, size, NULL), *s = BN_bin2bn(bytes + size, size, NULL);
  ECDSA_SIG *sig = ECDSA_SIG_new();
  int len = 0;
  if (r && s && sig && ECDSA_SIG_set0(sig, r, s)) {
    r = s = NULL; // the signature's now
    if (i2d_ECDSA_SIG(sig, NULL) <= DER_MAX) len = i2d_ECDSA_SIG(sig, &out);
  }
  ECDSA_SIG_free(sig);
  BN_free(r);
  BN_free(s);
  return len > 0 ? (size_t)len : 0;
}

// The salt is as long as the digest, which MGF1 uses as well (RFC 7518 3.5).
static bool set_pss(EVP_PKEY_CTX *ctx) {
  return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static bool is_signed(const struct jws_key *k, const EVP_MD *digest, struct span input,
                      struct span signature) {
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  EVP_PKEY_CTX *how = NULL;
  bool is = ctx && EVP_DigestVerifyInit(ctx, &how, digest, NULL, k->key) == 1 &&
            (k->algorithm->scheme != SCHEME_PSS || set_pss(how)) &&
            EVP_DigestVerify(ctx, (const unsigned char *)signature.bytes, signature.len,
                             (const unsigned char *)input.bytes, input.len) == 1;
  EVP_MD_CTX_free(ctx);
  return is;
}

bool jws_verify(const struct jws_key *k, struct span input, struct span signature) {
  const struct jws_algorithm *a = k->algorithm;
  const EVP_MD *digest = a->digest ? EVP_get_digestbyname(a->digest) : NULL;
  unsigned char der[DER_MAX];
  bool is = false;
  if (a->scheme == SCHEME_HMAC) is = is_mac(k, digest, input, signature);
  else if (a->scheme == SCHEME_ECDSA) {
    size_t len = to_der(signature, a->size, der);
    is = len && is_signed(k, digest, input, (struct span){(char *)der, len});
  } else is = is_signed(k, digest, input, signature);
  ERR_clear_error();
  return is;
}
