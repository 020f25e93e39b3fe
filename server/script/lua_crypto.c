// SPDX-License-Identifier: MIT
// Thin functions over OpenSSL's libcrypto; what is to be believed is decided in Lua. Decoding is
// strict: a text stands for bytes only where those bytes are written as just that text.
#include "script/bindings.h"
#include <jansson.h>
#include <lauxlib.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include "base/address.h"
#include "base/util.h"
#include "script/class.h"
#include "script/jws.h"
#include "script/raise.h"

enum { DECODE_MAX = 1 << 20, TOKEN_MAX = 8 << 10 };

static const char KEY[] = "spate.jwt key";

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

// A part of a token: an object in which no name comes twice, or two readers may see two tokens.
static bool is_object(struct span part) {
  unsigned char in[TOKEN_MAX + 8], again[TOKEN_MAX + 8], out[TOKEN_MAX + 8];
  long len = decode(part, true, in, again, out);
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
  long len = is_good ? decode(signature, true, in, again, out) : 0;
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
  static const luaL_Reg functions[] = {{"hmac", core_hmac},
                                       {"equal", core_equal},
                                       {"base64url", core_base64url},
                                       {"base64url_decode", core_base64url_decode},
                                       {"base64_decode", core_base64_decode},
                                       {"jwt_verify", core_jwt_verify},
                                       {"jwt_key", core_jwt_key},
                                       {"network", core_network},
                                       {NULL, NULL}};
  class_new(L, KEY, NULL, collect_key);
  luaL_setfuncs(L, functions, 0);
}
