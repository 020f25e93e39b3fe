// SPDX-License-Identifier: MIT
// OpenSSL works on memory alone: what comes from below is put into one BIO, what is to go below is taken out
// of another. What the user has sent has left once the transport below has taken all that it became.
#include "client/redis_tls.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/buf.h"
#include "base/mem.h"

enum { PIECE_LEN = 16 << 10, BUF_KEPT = 64 << 10 };

struct redis_tls {
  struct transport transport;
  struct transport *under;
  SSL_CTX *context;
  SSL *ssl;
  BIO *in, *out; // the SSL's
  struct buf waiting, flight;
  size_t sent, owed; // of flight; of the user's bytes that on_sent is due to
  bool is_open, is_closed;
  unsigned depth; // calls of ours that are under way: it is freed behind the last
  char why[160];
};

static struct redis_tls *tls_of(struct transport *t) { return container_of(t, struct redis_tls, transport); }

const char *redis_tls_error(const struct transport *t) {
  const struct redis_tls *s = container_of(t, struct redis_tls, transport);
  return s->why[0] ? s->why : NULL;
}

static void tls_free(struct redis_tls *s) {
  SSL_free(s->ssl);
  SSL_CTX_free(s->context);
  buf_deinit(&s->waiting);
  buf_deinit(&s->flight);
  free(s);
}

static void tls_leave(struct redis_tls *s) {
  if (!--s->depth && s->is_closed) tls_free(s);
}

static void tls_note(struct redis_tls *s, const char *what) {
  long verified = SSL_get_verify_result(s->ssl);
  const char *reason = ERR_reason_error_string(ERR_get_error());
  if (verified != X509_V_OK) reason = X509_verify_cert_error_string(verified);
  snprintf(s->why, sizeof s->why, "%s: %s", what, reason ? reason : "it broke off");
  ERR_clear_error();
}

static void tls_tell_error(struct redis_tls *s, const char *what) {
  if (what) tls_note(s, what);
  if (!s->is_closed) s->transport.sink->on_error(&s->transport, TRANSPORT_BROKEN);
}

// Hands below what OpenSSL has made. False where that is broken.
static bool tls_flush(struct redis_tls *s) {
  struct outq q;
  for (int n; (n = (int)BIO_ctrl_pending(s->out)) > 0;) {
    n = BIO_read(s->out, buf_reserve(&s->waiting, (size_t)n), n);
    s->waiting.len += n > 0 ? (size_t)n : 0;
  }
  if (s->flight.len || !s->waiting.len) return true;
  struct buf empty = s->flight;
  s->flight = s->waiting, s->waiting = empty, s->sent = 0;
  q.count = 1, q.len = s->flight.len, q.iov[0] = (struct iovec){s->flight.bytes, s->flight.len};
  q.is_share = q.has_more = false;
  ssize_t n = s->under->ops->send(s->under, &q);
  if (n < 0) return false;
  s->sent = (size_t)n;
  if (s->sent == s->flight.len) buf_reset(&s->flight, BUF_KEPT);
  return true;
}

static bool is_drained(const struct redis_tls *s) { return !s->flight.len && !s->waiting.len; }

// Goes on with what has come.
static void tls_go_on(struct redis_tls *s) {
  char piece[PIECE_LEN];
  int n = 1;
  ERR_clear_error();
  if (!s->is_open) {
    n = SSL_do_handshake(s->ssl);
    s->is_open = n == 1;
    if (s->is_open && tls_flush(s)) s->transport.sink->on_open(&s->transport);
  }
  while (s->is_open && !s->is_closed && (n = SSL_read(s->ssl, piece, sizeof piece)) > 0)
    s->transport.sink->on_bytes(&s->transport, (struct span){piece, (size_t)n});
  if (s->is_closed) return;
  int error = SSL_get_error(s->ssl, n);
  bool is_sent = tls_flush(s);
  if (error == SSL_ERROR_ZERO_RETURN) s->transport.sink->on_end(&s->transport);
  else if (error != SSL_ERROR_WANT_READ) tls_tell_error(s, "TLS");
  else if (!is_sent) tls_tell_error(s, NULL);
}

static void on_open(struct transport *t) {
  struct redis_tls *s = t->owner;
  t->ops->want_read(t, LOOP_SCRATCH_LEN);
  tls_go_on(s);
}

static void on_bytes(struct transport *t, struct span bytes) {
  struct redis_tls *s = t->owner;
  s->depth++;
  BIO_write(s->in, bytes.bytes, (int)bytes.len);
  tls_go_on(s);
  tls_leave(s);
}

static void on_sent(struct transport *t, size_t len) {
  struct redis_tls *s = t->owner;
  s->sent += len;
  if (s->sent < s->flight.len) return;
  buf_reset(&s->flight, BUF_KEPT);
  s->depth++;
  bool ok = tls_flush(s);
  size_t owed = s->owed;
  if (!ok) tls_tell_error(s, NULL);
  else if (owed && is_drained(s)) {
    s->owed = 0;
    s->transport.sink->on_sent(&s->transport, owed);
  }
  tls_leave(s);
}

static void on_end(struct transport *t) {
  struct redis_tls *s = t->owner;
  if (s->is_open) s->transport.sink->on_end(&s->transport);
  else tls_tell_error(s, "TLS");
}

static void on_error(struct transport *t, enum transport_error why) {
  struct redis_tls *s = t->owner;
  s->transport.sink->on_error(&s->transport, why);
}

static const struct transport_sink sink = {
    .on_open = on_open, .on_bytes = on_bytes, .on_sent = on_sent, .on_end = on_end, .on_error = on_error};

static void tls_open(struct transport *t) {
  struct redis_tls *s = tls_of(t);
  s->depth++;
  s->under->ops->open(s->under);
  tls_leave(s);
}

static ssize_t tls_send(struct transport *t, const struct outq *q) {
  struct redis_tls *s = tls_of(t);
  for (int i = 0; i < q->count; i++)
    if (SSL_write(s->ssl, q->iov[i].iov_base, (int)q->iov[i].iov_len) <= 0) return TRANSPORT_BROKEN;
  if (!tls_flush(s)) return TRANSPORT_BROKEN;
  if (is_drained(s)) return (ssize_t)q->len;
  s->owed += q->len;
  return 0;
}

static void tls_want_read(struct transport *t, size_t len) {
  struct transport *under = tls_of(t)->under;
  under->ops->want_read(under, len);
}

static bool tls_read_now(struct transport *t) {
  (void)t;
  return false;
}

static void tls_end(struct transport *t) {
  struct redis_tls *s = tls_of(t);
  SSL_shutdown(s->ssl);
  tls_flush(s);
  s->under->ops->end(s->under);
}

static void tls_close(struct transport *t, bool reset) {
  struct redis_tls *s = tls_of(t);
  s->under->ops->close(s->under, reset);
  s->is_closed = true, s->depth++;
  tls_leave(s);
}

static void tls_bound(struct transport *t, size_t bytes) {
  struct transport *under = tls_of(t)->under;
  under->ops->bound(under, bytes);
}

static const struct transport_ops ops = {.open = tls_open,
                                         .send = tls_send,
                                         .want_read = tls_want_read,
                                         .read_now = tls_read_now,
                                         .end = tls_end,
                                         .close = tls_close,
                                         .bound = tls_bound};

static SSL_CTX *new_context(const struct redis_address *a, const char **wrong) {
  SSL_CTX *c = SSL_CTX_new(TLS_client_method());
  if (!c) abort();
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_verify(c, a->is_unverified ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
  *wrong = NULL;
  if (a->ca && !SSL_CTX_load_verify_locations(c, a->ca, NULL))
    *wrong = "TLS: no certificates can be read from ca";
  else if (!a->ca && !SSL_CTX_set_default_verify_paths(c)) *wrong = "TLS: the system trusts nobody";
  else if (a->cert && SSL_CTX_use_certificate_chain_file(c, a->cert) != 1)
    *wrong = "TLS: no certificate can be read from cert";
  else if (a->cert && SSL_CTX_use_PrivateKey_file(c, a->key ? a->key : a->cert, SSL_FILETYPE_PEM) != 1)
    *wrong = "TLS: no private key can be read from key";
  ERR_clear_error();
  if (!*wrong) return c;
  SSL_CTX_free(c);
  return NULL;
}

static void expect_host(SSL *ssl, const char *host) {
  struct address a;
  if (address_parse(span_of(host), &a)) X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
  else SSL_set1_host(ssl, host), SSL_set_tlsext_host_name(ssl, host);
}

struct transport *redis_tls_new(struct transport *under, const struct redis_address *address,
                                const char *host, const char **wrong) {
  SSL_CTX *context = new_context(address, wrong);
  if (!context) return under->ops->close(under, false), NULL;
  struct redis_tls *s = xmalloc(sizeof *s);
  *s =
      (struct redis_tls){.transport = {.ops = &ops, .peer = under->peer}, .under = under, .context = context};
  s->ssl = SSL_new(context), s->in = BIO_new(BIO_s_mem()), s->out = BIO_new(BIO_s_mem());
  if (!s->ssl || !s->in || !s->out) abort();
  SSL_set_bio(s->ssl, s->in, s->out);
  SSL_set_connect_state(s->ssl);
  expect_host(s->ssl, host);
  under->sink = &sink, under->owner = s;
  return &s->transport;
}
