// SPDX-License-Identifier: MIT
// Thin functions over OpenSSL's libcrypto; what is to be believed is decided in Lua. Decoding is
// strict: a text stands for bytes only where those bytes are written as just that text.
#include "script/bindings.h"
#include <errno.h>
#include <jansson.h>
#include <lauxlib.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/random.h>
#include "base/address.h"
#include "base/digits.h"
#include "base/util.h"
#include "script/class.h"
#include "script/jws.h"
#include "script/raise.h"

enum { DECODE_MAX = 64 << 20, TOKEN_MAX = 8 << 10 };

static const char KEY[] = "spate.jwt key";

static struct span check_span(lua_State *L, int index) {
  struct span s;
  s.bytes = luaL_checklstring(L, index, &s.len);
  return s;
}

// The digest of the name at `index`; raises at the user's line.
static const EVP_MD *check_digest(lua_State *L, int index, const char *what) {
  static const char *const names[] = {"md5",    "sha1",     "sha224",   "sha256",     "sha384",
                                      "sha512", "sha3-256", "sha3-512", "blake2s256", "blake2b512"};
  struct span name = check_span(L, index);
  const EVP_MD *digest = NULL;
  for (size_t i = 0; i < countof(names) && !digest; i++)
    if (span_equal(name, span_of(names[i]))) digest = EVP_get_digestbyname(names[i]);
  if (!digest)
    raise_error(L,
                "%s: no hash '%s'; there are md5, sha1, sha224, sha256, sha384, sha512, sha3-256, sha3-512, "
                "blake2s256, blake2b512",
                what, name.bytes);
  return digest;
}

static int core_hash(lua_State *L) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned len = 0;
  const EVP_MD *digest = check_digest(L, 1, "crypto.hash");
  struct span text = check_span(L, 2);
  if (!EVP_Digest(text.bytes, text.len, out, &len, digest, NULL))
    return raise_error(L, "crypto.hash: libcrypto refuses %s here", lua_tostring(L, 1));
  lua_pushlstring(L, (const char *)out, len);
  return 1;
}

static int core_hmac(lua_State *L) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned len = 0;
  const EVP_MD *digest = check_digest(L, 1, "crypto.hmac");
  struct span key = check_span(L, 2), text = check_span(L, 3);
  if (key.len > INT_MAX ||
      !HMAC(digest, key.bytes, (int)key.len, (const unsigned char *)text.bytes, text.len, out, &len))
    return raise_error(L, "crypto.hmac: libcrypto refuses %s here", lua_tostring(L, 1));
  lua_pushlstring(L, (const char *)out, len);
  return 1;
}

// The kernel gives at most 256 bytes without an interruption.
static int core_random(lua_State *L) {
  luaL_Buffer b;
  size_t n = (size_t)luaL_checkinteger(L, 1), got = 0;
  char *into = luaL_buffinitsize(L, &b, n);
  while (got < n) {
    ssize_t more = getrandom(into + got, n - got, 0);
    if (more < 0 && errno != EINTR) return raise_error(L, "the kernel has no random bytes");
    got += more > 0 ? (size_t)more : 0;
  }
  luaL_pushresultsize(&b, n);
  return 1;
}

static int core_hex(lua_State *L) {
  static const char digits[] = "0123456789abcdef";
  luaL_Buffer b;
  struct span in = check_span(L, 1);
  char *out = luaL_buffinitsize(L, &b, in.len * 2);
  for (size_t i = 0; i < in.len; i++) {
    unsigned char byte = (unsigned char)in.bytes[i];
    out[2 * i] = digits[byte >> 4], out[2 * i + 1] = digits[byte & 15];
  }
  luaL_pushresultsize(&b, in.len * 2);
  return 1;
}

// Of either case.
static int core_hex_decode(lua_State *L) {
  luaL_Buffer b;
  struct span in = check_span(L, 1);
  if (in.len % 2) return 0;
  char *out = luaL_buffinitsize(L, &b, in.len / 2);
  for (size_t i = 0; i < in.len; i += 2) {
    int high = hex_value(in.bytes[i]), low = hex_value(in.bytes[i + 1]);
    if (high < 0 || low < 0) return 0;
    out[i / 2] = (char)(high * 16 + low);
  }
  luaL_pushresultsize(&b, in.len / 2);
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

static int core_base64(lua_State *L) {
  struct span in = check_span(L, 1);
  bool url = lua_toboolean(L, 2), padded = lua_toboolean(L, 3);
  if (in.len > DECODE_MAX) return raise_error(L, "base64: more than %d bytes", DECODE_MAX);
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, in.len / 3 * 4 + 8);
  int len = EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)in.bytes, (int)in.len);
  while (!padded && len && out[len - 1] == '=') len--;
  for (int i = 0; i < len && url; i++) out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
  luaL_pushresultsize(&b, (size_t)len);
  return 1;
}

// How a text is written.
struct base64 {
  bool url, padded;
};

// From one of either kind to padded base64; false at a byte that does not belong there.
static bool to_base64(struct span text, struct base64 kind, unsigned char *out, size_t padded) {
  memset(out, '=', padded);
  for (size_t i = 0; i < text.len; i++) {
    char c = text.bytes[i];
    bool common = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!common && !(c && strchr(kind.url ? "-_" : "+/", c)) && !(kind.padded && c == '=')) return false;
    out[i] = (unsigned char)(c == '-' ? '+' : c == '_' ? '/' : c);
  }
  return true;
}

// Decodes to `out`, with room for padded / 4 * 3 bytes, by way of `in` and `again`, with room for padded + 1.
// -1 where encoding the bytes does not give the same text.
static long decode(struct span text, struct base64 kind, unsigned char *in, unsigned char *again,
                   unsigned char *out) {
  size_t padded = (text.len + 3) / 4 * 4, padding = 0;
  if (!padded) return 0;
  if (!to_base64(text, kind, in, padded) || EVP_DecodeBlock(out, in, (int)padded) < 0) return -1;
  while (padding < padded && in[padded - 1 - padding] == '=') padding++;
  if (padding > 2) return -1;
  size_t len = padded / 4 * 3 - padding;
  EVP_EncodeBlock(again, out, (int)len);
  return memcmp(in, again, padded) ? -1 : (long)len;
}

static int core_base64_decode(lua_State *L) {
  struct span text = check_span(L, 1);
  struct base64 kind = {lua_toboolean(L, 2), lua_toboolean(L, 3)};
  size_t room = text.len + 8;
  if (text.len > DECODE_MAX / 3 * 4 + 4 || (kind.padded && text.len % 4)) return 0;
  unsigned char *in = lua_newuserdatauv(L, room * 3, 0), *out = in + 2 * room;
  long len = decode(text, kind, in, in + room, out);
  if (len < 0) return 0;
  lua_pushlstring(L, (char *)out, (size_t)len);
  return 1;
}

static const struct base64 TOKEN = {.url = true};

// A part of a token: an object in which no name comes twice, or two readers may see two tokens.
static bool is_object(struct span part) {
  unsigned char in[TOKEN_MAX + 8], again[TOKEN_MAX + 8], out[TOKEN_MAX + 8];
  long len = decode(part, TOKEN, in, again, out);
  json_t *value = len < 0 ? NULL : json_loadb((char *)out, (size_t)len, JSON_REJECT_DUPLICATES, NULL);
  bool is = json_is_object(value);
  json_decref(value);
  return is;
}

// Three parts, neither more nor less.
static bool split_token(struct span token, struct span *input, struct span *signature) {
  struct span rest = token, head = span_split(&rest, '.'), payload = span_split(&rest, '.');
  bool dots = head.len && payload.len && rest.len && !memchr(rest.bytes, '.', rest.len);
  *input = (struct span){token.bytes, head.len + 1 + payload.len};
  *signature = rest;
  return dots && is_object(head) && is_object(payload);
}

static struct jws_key *check_key(lua_State *L) { return luaL_checkudata(L, 1, KEY); }

// core.jwt_key(alg, text): a key for tokens; nil and what makes the text useless as one.
static int core_jwt_key(lua_State *L) {
  struct span alg = check_span(L, 1), text = check_span(L, 2);
  if (strlen(alg.bytes) != alg.len) return push_failure(L, "a NUL in alg");
  struct jws_key *k = lua_newuserdatauv(L, sizeof *k, 0);
  *k = (struct jws_key){0};
  luaL_setmetatable(L, KEY);
  const char *fault = jws_key_init(k, alg.bytes, text);
  return fault ? push_failure(L, fault) : 1;
}

// core.jwt_verify(key, token): whether the token (RFC 7519) is well-formed and signed by the key.
static int core_jwt_verify(lua_State *L) {
  const struct jws_key *k = check_key(L);
  struct span token = check_span(L, 2), input, signature;
  unsigned char in[TOKEN_MAX + 8], again[TOKEN_MAX + 8], out[TOKEN_MAX + 8];
  bool is_good = k->key && token.len <= TOKEN_MAX && split_token(token, &input, &signature);
  long len = is_good ? decode(signature, TOKEN, in, again, out) : 0;
  lua_pushboolean(L, len > 0 && jws_verify(k, input, (struct span){(char *)out, (size_t)len}));
  return 1;
}

static int collect_key(lua_State *L) {
  jws_key_deinit(check_key(L));
  return 0;
}

static int core_network(lua_State *L) {
  struct address a;
  char text[ADDRESS_TEXT_MAX];
  if (!address_parse(check_span(L, 1), &a)) return lua_settop(L, 1), 1;
  a = address_network(&a);
  lua_pushlstring(L, text, address_text(&a, text));
  return 1;
}

void crypto_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"hash", core_hash},
                                       {"hmac", core_hmac},
                                       {"random", core_random},
                                       {"equal", core_equal},
                                       {"hex", core_hex},
                                       {"hex_decode", core_hex_decode},
                                       {"base64", core_base64},
                                       {"base64_decode", core_base64_decode},
                                       {"jwt_verify", core_jwt_verify},
                                       {"jwt_key", core_jwt_key},
                                       {"network", core_network},
                                       {NULL, NULL}};
  class_new(L, KEY, NULL, collect_key);
  luaL_setfuncs(L, functions, 0);
}
