// SPDX-License-Identifier: MIT
// A BIO of ours takes whatever OpenSSL writes, so SSL_write never stops half-way, and none of OpenSSL's rules
// for doing it again apply. It reads what the transport below has just shown, without a copy; what OpenSSL
// leaves of that is kept.
#include "loop/tls_wire.h"
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/util.h"
#include "loop/loop.h"

enum { KEY_UPDATES_MAX = 32 }; // at once; then one a second

bool tls_wire_is_abused(const struct tls_wire *w) {
  return w->key_updates > KEY_UPDATES_MAX + (w->loop->now - w->opened_at);
}

static int wire_read(BIO *b, char *out, int len) {
  struct tls_wire *w = BIO_get_data(b);
  BIO_clear_retry_flags(b);
  bool may_read = !tls_wire_is_abused(w);
  size_t n = may_read ? MIN((size_t)len, w->input.len) : 0;
  if (n) memcpy(out, w->input.bytes, n);
  else if (may_read) BIO_set_retry_read(b);
  w->input.bytes += n, w->input.len -= n;
  return (int)n;
}

static int wire_write(BIO *b, const char *bytes, int len) {
  struct tls_wire *w = BIO_get_data(b);
  buf_append(&w->fresh, bytes, (size_t)len);
  return len;
}

static long wire_control(BIO *b, int command, long number, void *arg) {
  (void)b, (void)number, (void)arg;
  return command == BIO_CTRL_FLUSH;
}

// Of no number of its own, since these run out.
BIO_METHOD *tls_wire_method(void) {
  BIO_METHOD *m = mem_check(BIO_meth_new(BIO_TYPE_SOURCE_SINK, "spate"), sizeof m);
  BIO_meth_set_read(m, wire_read);
  BIO_meth_set_write(m, wire_write);
  BIO_meth_set_ctrl(m, wire_control);
  return m;
}

void tls_wire_begin(struct tls_wire *w, BIO_METHOD *method, struct tls_hosts *hosts) {
  BIO *wire = mem_check(BIO_new(method), sizeof *w);
  w->ssl = tls_hosts_accept(hosts);
  BIO_set_data(wire, w);
  SSL_set_bio(w->ssl, wire, wire);
}

void tls_wire_deinit(struct tls_wire *w) {
  SSL_free(w->ssl);
  buf_deinit(&w->in);
  buf_deinit(&w->fresh);
}

// A client may have keys changed as often as it likes, and each change costs more than it.
static void on_message(int writes, int version, int type, const void *bytes, size_t len, SSL *ssl,
                       void *arg) {
  (void)version, (void)ssl, (void)len;
  if (!writes && type == SSL3_RT_HANDSHAKE && *(const unsigned char *)bytes == SSL3_MT_KEY_UPDATE)
    ((struct tls_wire *)arg)->key_updates++;
}

void tls_wire_opened(struct tls_wire *w) {
  w->opened_at = w->loop->now;
  SSL_set_msg_callback(w->ssl, on_message);
  SSL_set_msg_callback_arg(w->ssl, w);
}

void tls_wire_keep(struct tls_wire *w) {
  if (w->in.len) buf_consume(&w->in, w->in.len - w->input.len);
  else buf_append_span(&w->in, w->input);
  if (!w->in.len) buf_deinit(&w->in);
  w->input = (struct span){0};
}

// Where sealing has come to.
struct pieces {
  const struct iovec *iov;
  int count, i;
  size_t at; // in iov[i]
};

static size_t pieces_skip(struct pieces *p, size_t len) {
  p->at += len;
  if (p->at == p->iov[p->i].iov_len) p->i++, p->at = 0;
  return len;
}

static const char *pieces_next(const struct pieces *p, size_t max, size_t *len) {
  *len = MIN(p->iov[p->i].iov_len - p->at, max);
  return (const char *)p->iov[p->i].iov_base + p->at;
}

// What goes into one record: as it lies where it is of one piece, else put together in `record`.
static const char *pieces_join(struct pieces *p, char record[TLS_RECORD_LEN], size_t *len) {
  const char *first = pieces_next(p, TLS_RECORD_LEN, len);
  pieces_skip(p, *len);
  if (*len == TLS_RECORD_LEN || p->i == p->count) return first;
  memcpy(record, first, *len);
  while (p->i < p->count && *len < TLS_RECORD_LEN) {
    size_t more;
    const char *from = pieces_next(p, TLS_RECORD_LEN - *len, &more);
    memcpy(record + *len, from, more);
    *len += pieces_skip(p, more);
  }
  return record;
}

ssize_t tls_wire_seal(struct tls_wire *w, const struct iovec *iov, int count) {
  char record[TLS_RECORD_LEN];
  struct pieces p = {.iov = iov, .count = count};
  size_t taken = 0, len;
  while (p.i < p.count && taken < TLS_SEALED_MAX) {
    const char *from = pieces_join(&p, record, &len);
    if (len && SSL_write(w->ssl, from, (int)len) != (int)len) return -1;
    taken += len;
  }
  return (ssize_t)taken;
}
