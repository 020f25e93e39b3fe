// SPDX-License-Identifier: MIT
// Whatever a client of TLS may do, one step at a time: nothing moves between it and its connection but by
// pump(), so a spec can cut, delay and change what is on the wire.
#include "harness/tls_client.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include "harness/client.h"
#include "script/class.h"

static const char TLS_CLIENT[] = "spate.harness.tls", SESSION[] = "spate.harness.tls_session";
enum { PIECE_LEN = 16 << 10, ALPN_MAX = 255 };

struct tls_client {
  SSL_CTX *context;
  SSL *ssl;
  SSL_SESSION *session; // the newest ticket
  struct buf got;
  int tickets;   // that it has got
  char why[160]; // "": nothing is wrong
  bool is_open, has_ended;
};

static struct tls_client *check_tls(lua_State *L) { return luaL_checkudata(L, 1, TLS_CLIENT); }

static int on_session(SSL *ssl, SSL_SESSION *session) {
  struct tls_client *t = SSL_get_app_data(ssl);
  SSL_SESSION_free(t->session);
  t->session = session;
  t->tickets++;
  return 1;
}

// The text of an option; NULL where there is none.
static const char *option(lua_State *L, const char *name) {
  lua_getfield(L, 2, name);
  const char *text = lua_tostring(L, -1);
  lua_pop(L, 1);
  return text;
}

static int version_of(const char *text, int otherwise) {
  if (!text) return otherwise;
  return !strcmp(text, "1.1") ? TLS1_1_VERSION : !strcmp(text, "1.2") ? TLS1_2_VERSION : TLS1_3_VERSION;
}

static void set_alpn(lua_State *L, SSL *ssl) {
  unsigned char list[ALPN_MAX];
  size_t at = 0, len;
  if (lua_getfield(L, 2, "alpn") == LUA_TTABLE)
    for (int i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i++) {
      const char *name = lua_tolstring(L, -1, &len);
      luaL_argcheck(L, at + len + 1 < sizeof list, 2, "alpn: too long");
      list[at++] = (unsigned char)len;
      memcpy(list + at, name, len), at += len;
      lua_pop(L, 1);
    }
  if (at) SSL_set_alpn_protos(ssl, list, (unsigned)at);
}

static void set_files(lua_State *L, struct tls_client *t) {
  const char *cert = option(L, "cert"), *key = option(L, "key"), *ca = option(L, "ca");
  if (ca && SSL_CTX_load_verify_locations(t->context, ca, NULL) != 1) luaL_error(L, "ca: cannot be read");
  SSL_CTX_set_verify(t->context, ca ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
  if (cert && (SSL_CTX_use_certificate_chain_file(t->context, cert) != 1 ||
               SSL_CTX_use_PrivateKey_file(t->context, key, SSL_FILETYPE_PEM) != 1))
    luaL_error(L, "cert, key: cannot be read");
}

static void set_ciphers(lua_State *L, SSL_CTX *context) {
  const char *suites = option(L, "suites"), *ciphers = option(L, "ciphers");
  if (suites && !SSL_CTX_set_ciphersuites(context, suites)) luaL_error(L, "suites: unknown");
  if (ciphers && !SSL_CTX_set_cipher_list(context, ciphers)) luaL_error(L, "ciphers: unknown");
  if (option(L, "groups") && !SSL_CTX_set1_groups_list(context, option(L, "groups")))
    luaL_error(L, "groups: unknown");
  if (option(L, "without_tickets")) SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
}

// A copy, as OpenSSL resumes none a second time, nor one of a connection that was dropped without an end.
static void use_session(SSL *ssl, SSL_SESSION *session) {
  SSL_SESSION *copy = SSL_SESSION_dup(session);
  SSL_set_session(ssl, copy);
  SSL_SESSION_free(copy);
}

// harness.tls{ sni =, alpn = {}, min =, max =, ca =, cert =, key =, session =, suites = (of 1.3), ciphers =
// (of 1.2), groups =, without_tickets = "yes" }
static int tls_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_pushvalue(L, 1);
  lua_insert(L, 1); // options are at 2 for all that read them
  struct tls_client *t = lua_newuserdatauv(L, sizeof *t, 0);
  *t = (struct tls_client){.context = SSL_CTX_new(TLS_client_method())};
  luaL_setmetatable(L, TLS_CLIENT);
  SSL_CTX_set_min_proto_version(t->context, version_of(option(L, "min"), TLS1_2_VERSION));
  SSL_CTX_set_max_proto_version(t->context, version_of(option(L, "max"), TLS1_3_VERSION));
  SSL_CTX_set_security_level(t->context, 0);
  SSL_CTX_set_session_cache_mode(t->context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(t->context, on_session);
  set_files(L, t);
  set_ciphers(L, t->context);
  t->ssl = SSL_new(t->context);
  SSL_set_app_data(t->ssl, t);
  SSL_set_bio(t->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_connect_state(t->ssl);
  if (option(L, "sni")) SSL_set_tlsext_host_name(t->ssl, option(L, "sni"));
  set_alpn(L, t->ssl);
  lua_getfield(L, 2, "session");
  SSL_SESSION **session = luaL_testudata(L, -1, SESSION);
  if (session) use_session(t->ssl, *session);
  lua_settop(L, 3);
  return 1;
}

static void note(struct tls_client *t, int result) {
  int error = SSL_get_error(t->ssl, result);
  if (error == SSL_ERROR_ZERO_RETURN) t->has_ended = true;
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_ZERO_RETURN || *t->why) return;
  const char *reason = ERR_reason_error_string(ERR_peek_error());
  snprintf(t->why, sizeof t->why, "%s", reason ? reason : "broken");
}

static void advance(struct tls_client *t) {
  char piece[PIECE_LEN];
  int n = 1;
  ERR_clear_error();
  if (!t->is_open && (n = SSL_do_handshake(t->ssl)) == 1) t->is_open = true;
  while (n > 0 && (n = SSL_read(t->ssl, piece, sizeof piece)) > 0) buf_append(&t->got, piece, (size_t)n);
  note(t, n);
}

// tls:pump(client): takes what has come for the client and gives it what is to go; whether that was anything.
static int tls_pump(lua_State *L) {
  struct tls_client *t = check_tls(L);
  struct client *c = luaL_checkudata(L, 2, "spate.harness.client");
  struct buf *from = &c->peer.to_client, *to = &c->peer.to_server;
  bool any = from->len > 0;
  if (any) BIO_write(SSL_get_rbio(t->ssl), from->bytes, (int)from->len);
  from->len = 0;
  if (!*t->why) advance(t);
  int n = (int)BIO_ctrl_pending(SSL_get_wbio(t->ssl));
  if (n > 0) to->len += (size_t)BIO_read(SSL_get_wbio(t->ssl), buf_reserve(to, (size_t)n), n);
  lua_pushboolean(L, any || n > 0);
  return 1;
}

// tls:write(bytes): once it is open.
static int tls_write(lua_State *L) {
  struct tls_client *t = check_tls(L);
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  ERR_clear_error();
  lua_pushboolean(L, SSL_write(t->ssl, bytes, (int)len) > 0);
  return 1;
}

// tls:take(): what has been decrypted since.
static int tls_take(lua_State *L) {
  struct tls_client *t = check_tls(L);
  push_span(L, buf_span(&t->got));
  buf_reset(&t->got, 1 << 16);
  return 1;
}

// tls:shutdown(): says that it has ended (close_notify).
static int tls_shutdown(lua_State *L) {
  SSL_shutdown(check_tls(L)->ssl);
  return 0;
}

// tls:update_keys(), tls:renegotiate(): what the server is asked for with the next write.
static int tls_update_keys(lua_State *L) {
  struct tls_client *t = check_tls(L);
  SSL_key_update(t->ssl, SSL_KEY_UPDATE_REQUESTED);
  SSL_do_handshake(t->ssl);
  return 0;
}

static int tls_renegotiate(lua_State *L) {
  struct tls_client *t = check_tls(L);
  SSL_renegotiate(t->ssl);
  SSL_do_handshake(t->ssl);
  return 0;
}

// tls:session(): the newest ticket, for others' options; nil where there is none.
static int tls_session(lua_State *L) {
  struct tls_client *t = check_tls(L);
  if (!t->session) return 0;
  SSL_SESSION **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = SSL_SESSION_dup(t->session);
  luaL_setmetatable(L, SESSION);
  return 1;
}

// tls:state(): { open =, ended =, why =, reused =, alpn =, version =, cipher =, subject =, tickets =
// (how many), authorities = (whom it is asked to be signed by, how many) }
static int tls_state(lua_State *L) {
  struct tls_client *t = check_tls(L);
  const unsigned char *alpn;
  unsigned len;
  char subject[256] = "";
  X509 *cert = SSL_get0_peer_certificate(t->ssl);
  if (cert) X509_NAME_oneline(X509_get_subject_name(cert), subject, sizeof subject);
  SSL_get0_alpn_selected(t->ssl, &alpn, &len);
  lua_newtable(L);
  lua_pushboolean(L, t->is_open), lua_setfield(L, -2, "open");
  lua_pushboolean(L, t->has_ended), lua_setfield(L, -2, "ended");
  lua_pushstring(L, *t->why ? t->why : NULL), lua_setfield(L, -2, "why");
  lua_pushboolean(L, SSL_session_reused(t->ssl)), lua_setfield(L, -2, "reused");
  lua_pushlstring(L, (const char *)alpn, len), lua_setfield(L, -2, "alpn");
  lua_pushstring(L, SSL_get_version(t->ssl)), lua_setfield(L, -2, "version");
  lua_pushstring(L, SSL_get_cipher_name(t->ssl)), lua_setfield(L, -2, "cipher");
  lua_pushstring(L, subject), lua_setfield(L, -2, "subject");
  lua_pushinteger(L, t->tickets), lua_setfield(L, -2, "tickets");
  lua_pushinteger(L, sk_X509_NAME_num(SSL_get0_peer_CA_list(t->ssl))), lua_setfield(L, -2, "authorities");
  return 1;
}

static int tls_collect(lua_State *L) {
  struct tls_client *t = check_tls(L);
  SSL_free(t->ssl);
  SSL_CTX_free(t->context);
  SSL_SESSION_free(t->session);
  buf_deinit(&t->got);
  *t = (struct tls_client){0};
  return 0;
}

static int session_collect(lua_State *L) {
  SSL_SESSION_free(*(SSL_SESSION **)luaL_checkudata(L, 1, SESSION));
  return 0;
}

void tls_client_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"pump", tls_pump},
                                     {"write", tls_write},
                                     {"take", tls_take},
                                     {"shutdown", tls_shutdown},
                                     {"update_keys", tls_update_keys},
                                     {"renegotiate", tls_renegotiate},
                                     {"session", tls_session},
                                     {"state", tls_state},
                                     {NULL, NULL}};
  class_new(L, TLS_CLIENT, methods, tls_collect);
  class_new(L, SESSION, NULL, session_collect);
  lua_pushcfunction(L, tls_new);
  lua_setfield(L, -2, "tls");
}
