// SPDX-License-Identifier: MIT
// Thin functions over OpenSSL's libcrypto and libjwt; what is to be believed is decided in Lua. Decoding is
// strict: a text stands for bytes only where those bytes are written as just that text.
#include "script/lua_crypto.h"
#include <jansson.h>
#include <jwt.h>
#include <lauxlib.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <string.h>
#include "base/cidr.h"
#include "base/util.h"
#include "script/vm.h"

enum { DECODE_MAX = 1 << 20, TOKEN_MAX = 8 << 10, RSA_BITS_MIN = 2048 };

static struct span check_span(lua_State *L, int index) {
  struct span s;
  s.bytes = luaL_checklstring(L, index, &s.len);
  return s;
}

static int core_hmac(lua_State *L) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned len = 0;
  struct span key = check_span(L, 1), text = check_span(L, 2);
  if (!HMAC(EVP_sha256(), key.bytes, (int)key.len, (const unsigned char *)text.bytes, text.len, out, &len))
    return raise_error(L, "libcrypto has no HMAC-SHA256");
  lua_pushlstring(L, (const char *)out, len);
  return 1;
}

// Digests are compared, so that the lengths do not tell either.
static int core_equal(lua_State *L) {
  unsigned char x[EVP_MAX_MD_SIZE], y[EVP_MAX_MD_SIZE];
  unsigned len = 0;
  struct span a = check_span(L, 1), b = check_span(L, 2);
  bool done = EVP_Digest(a.bytes, a.len, x, &len, EVP_sha256(), NULL) &&
              EVP_Digest(b.bytes, b.len, y, &len, EVP_sha256(), NULL);
  lua_pushboolean(L, done && !CRYPTO_memcmp(x, y, len));
  return 1;
}

static int core_base64url(lua_State *L) {
  struct span in = check_span(L, 1);
  if (in.len > DECODE_MAX) return raise_error(L, "base64url: more than %d bytes", DECODE_MAX);
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, in.len * 4 / 3 + 8);
  int len = EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)in.bytes, (int)in.len);
  while (len && out[len - 1] == '=') len--;
  for (int i = 0; i < len; i++) out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
  luaL_pushresultsize(&b, (size_t)len);
  return 1;
}

// From base64url to padded base64; false at a byte that belongs to neither.
static bool to_base64(struct span text, bool url, unsigned char *out, size_t padded) {
  memset(out, '=', padded);
  for (size_t i = 0; i < text.len; i++) {
    char c = text.bytes[i];
    bool common = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!common && !(c && strchr(url ? "-_" : "+/=", c))) return false;
    out[i] = (unsigned char)(c == '-' ? '+' : c == '_' ? '/' : c);
  }
  return true;
}

// Decodes to `out`, with room for padded / 4 * 3 bytes, by way of `in` and `again`, with room for padded + 1.
// -1 where encoding the bytes does not give the same text.
static long decode(struct span text, bool url, unsigned char *in, unsigned char *again, unsigned char *out) {
  size_t padded = (text.len + 3) / 4 * 4, padding = 0;
  if (!padded) return 0;
  if (!to_base64(text, url, in, padded) || EVP_DecodeBlock(out, in, (int)padded) < 0) return -1;
  while (padding < padded && in[padded - 1 - padding] == '=') padding++;
  if (padding > 2) return -1;
  size_t len = padded / 4 * 3 - padding;
  EVP_EncodeBlock(again, out, (int)len);
  return memcmp(in, again, padded) ? -1 : (long)len;
}

static int push_decoded_text(lua_State *L, bool url) {
  struct span text = check_span(L, 1);
  size_t room = text.len + 8;
  if (text.len > DECODE_MAX || (!url && text.len % 4)) return 0;
  unsigned char *in = lua_newuserdatauv(L, room * 3, 0), *out = in + 2 * room;
  long len = decode(text, url, in, in + room, out);
  if (len < 0) return 0;
  lua_pushlstring(L, (char *)out, (size_t)len);
  return 1;
}

static int core_base64url_decode(lua_State *L) { return push_decoded_text(L, true); }
static int core_base64_decode(lua_State *L) { return push_decoded_text(L, false); }

static const struct algorithm {
  const char *name;
  int type;
  const char *curve;
} algorithms[] = {{"HS256", EVP_PKEY_HMAC, NULL},       {"HS384", EVP_PKEY_HMAC, NULL},
                  {"HS512", EVP_PKEY_HMAC, NULL},       {"RS256", EVP_PKEY_RSA, NULL},
                  {"RS384", EVP_PKEY_RSA, NULL},        {"RS512", EVP_PKEY_RSA, NULL},
                  {"ES256", EVP_PKEY_EC, "prime256v1"}, {"ES384", EVP_PKEY_EC, "secp384r1"},
                  {"ES512", EVP_PKEY_EC, "secp521r1"}};

static const struct algorithm *algorithm_of(const char *name) {
  for (size_t i = 0; i < countof(algorithms); i++)
    if (!strcmp(algorithms[i].name, name)) return &algorithms[i];
  return NULL;
}

static const char *secret_fault(struct span key, const struct algorithm *a) {
  size_t min = (size_t)atoi(a->name + 2) / 8; // RFC 7518 3.2
  if (memmem(key.bytes, key.len, "-----BEGIN", 10)) return "a PEM file is no secret; is the algorithm right?";
  if (key.len >= min) return NULL;
  return min == 32 ? "the secret has less than 32 bytes"
                   : (min == 48 ? "the secret has less than 48 bytes" : "the secret has less than 64 bytes");
}

static int no_password(char *buf, int size, int rwflag, void *u) {
  (void)buf, (void)size, (void)rwflag, (void)u;
  return -1;
}

static const char *public_key_fault(EVP_PKEY *key, const struct algorithm *a) {
  char curve[64] = "";
  if (!key) return "expected a public key in PEM (-----BEGIN PUBLIC KEY-----)";
  if (EVP_PKEY_get_base_id(key) != a->type) return "the key is of another kind than the algorithm";
  if (a->type == EVP_PKEY_RSA)
    return EVP_PKEY_get_bits(key) < RSA_BITS_MIN ? "the key has less than 2048 bits" : NULL;
  EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL);
  return strcmp(curve, a->curve) ? "the key is on another curve than the algorithm's" : NULL;
}

static int core_jwt_key_fault(lua_State *L) {
  const struct algorithm *a = algorithm_of(luaL_checkstring(L, 1));
  struct span key = check_span(L, 2);
  const char *fault = NULL;
  if (!a) fault = "expected HS256, HS384, HS512, RS256, RS384, RS512, ES256, ES384 or ES512 as alg";
  else if (a->type == EVP_PKEY_HMAC) fault = secret_fault(key, a);
  else {
    BIO *in = BIO_new_mem_buf(key.bytes, (int)key.len);
    EVP_PKEY *parsed = in ? PEM_read_bio_PUBKEY(in, NULL, no_password, NULL) : NULL;
    fault = public_key_fault(parsed, a);
    EVP_PKEY_free(parsed);
    BIO_free(in);
    ERR_clear_error();
  }
  if (!fault) return 0;
  lua_pushstring(L, fault);
  return 1;
}

// A part of a token: an object in which no name comes twice, or two readers may see two tokens.
static bool is_object(struct span part) {
  unsigned char in[TOKEN_MAX + 8], again[TOKEN_MAX + 8], out[TOKEN_MAX + 8];
  long len = decode(part, true, in, again, out);
  json_t *value = len < 0 ? NULL : json_loadb((char *)out, (size_t)len, JSON_REJECT_DUPLICATES, NULL);
  bool is = json_is_object(value);
  json_decref(value);
  return is;
}

static bool is_signature(struct span part) {
  unsigned char in[TOKEN_MAX + 8], again[TOKEN_MAX + 8], out[TOKEN_MAX + 8];
  return decode(part, true, in, again, out) > 0;
}

// Three parts, neither more nor less.
static bool is_well_formed(struct span token) {
  struct span rest = token, head = span_split(&rest, '.'), payload = span_split(&rest, '.');
  bool dots = head.len && payload.len && rest.len && !memchr(rest.bytes, '.', rest.len);
  return dots && is_object(head) && is_object(payload) && is_signature(rest);
}

static int core_jwt_verify(lua_State *L) {
  struct span token = check_span(L, 1);
  const char *alg = luaL_checkstring(L, 2);
  struct span key = check_span(L, 3);
  bool is_good = false;
  if (token.len <= TOKEN_MAX && algorithm_of(alg) && is_well_formed(token)) {
    jwt_t *jwt = NULL;
    int failed = jwt_decode(&jwt, token.bytes, (const unsigned char *)key.bytes, (int)key.len);
    is_good = !failed && jwt && jwt_get_alg(jwt) == jwt_str_alg(alg);
    jwt_free(jwt);
    ERR_clear_error();
  }
  lua_pushboolean(L, is_good);
  return 1;
}

static int core_network(lua_State *L) {
  struct address a;
  char text[ADDRESS_TEXT_MAX];
  if (!address_parse(check_span(L, 1), &a)) return lua_settop(L, 1), 1;
  address_mask_v6(&a, 64);
  lua_pushlstring(L, text, address_text(&a, text));
  return 1;
}

void crypto_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"hmac", core_hmac},
                                       {"equal", core_equal},
                                       {"base64url", core_base64url},
                                       {"base64url_decode", core_base64url_decode},
                                       {"base64_decode", core_base64_decode},
                                       {"jwt_verify", core_jwt_verify},
                                       {"jwt_key_fault", core_jwt_key_fault},
                                       {"network", core_network},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
