// SPDX-License-Identifier: MIT
// OpenSSL (tls_wire) between two transports. What is being sent lies still in `sealed`; what OpenSSL makes
// meanwhile waits in the wire. No more than TLS_SEALED_MAX bytes of what the user gave, and a record, are
// encrypted ahead of what has left, since events are shared by all their subscribers, and ciphertext is not.
// A write never waits for a read. What has come and was not asked for stays in the wire, no more than one
// read.
#include "loop/transport_tls.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include "base/counter.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/flight.h"
#include "loop/tls_certificate.h"
#include "loop/tls_wire.h"

enum tls_state { TLS_SHAKING, TLS_OPEN, TLS_BROKEN };

struct tls {
  struct transport transport;
  struct transport *under;
  struct tls_server *server;
  struct tls_hosts *hosts;
  struct tls_wire wire;
  struct tls_turn turn;
  struct buf sealed;               // what is being sent
  struct flight *flight;           // the user's bytes that are not encrypted yet; NULL: none
  size_t sent, sealed_plain, told; // bytes of `sealed` that have left; of the user's in it; told of
  size_t fresh_plain;              // of the user's that are encrypted and not being sent
  uint32_t read_len;
  uint8_t state; // enum tls_state
  uint8_t depth; // calls of ours under way: it is freed behind the last
  bool is_closed, ends, has_ended, is_counted;
  bool has_read; // something was handed up; set back by who asks
};

static struct tls *tls_of(struct transport *t) { return container_of(t, struct tls, transport); }

static void leave_handshakes(struct tls *s) {
  if (s->is_counted) s->server->count--;
  s->is_counted = false;
}

static void tls_free(struct tls *s) {
  tls_wire_deinit(&s->wire);
  tls_hosts_unref(s->hosts);
  buf_deinit(&s->sealed);
  free(s->flight);
  free(s);
}

static void tls_enter(struct tls *s) { s->depth++; }

static void tls_leave(struct tls *s) {
  if (!--s->depth && s->is_closed) tls_free(s);
}

// How many of the user's bytes have left since it was last asked: in proportion to what they have become.
static size_t tell_left(struct tls *s) {
  size_t left = s->sealed_plain * s->sent / s->sealed.len, since = left - s->told;
  s->told = left;
  if (s->sent == s->sealed.len) {
    buf_deinit(&s->sealed);
    s->sealed_plain = s->sent = s->told = 0;
  }
  return since;
}

// Hands below what OpenSSL has made, where nothing is on its way: how many of the user's bytes have left.
static ssize_t pass_on(struct tls *s) {
  if (s->sealed.len || !s->wire.fresh.len) return 0;
  struct outq q;
  s->sealed = s->wire.fresh, s->sealed_plain = s->fresh_plain;
  s->wire.fresh = (struct buf){0}, s->fresh_plain = 0;
  q.count = 1, q.len = s->sealed.len, q.iov[0] = (struct iovec){s->sealed.bytes, s->sealed.len};
  ssize_t n = s->under->ops->send(s->under, &q);
  if (n < 0) return n;
  s->transport.is_queued = s->under->is_queued;
  s->sent = (size_t)n;
  return (ssize_t)tell_left(s);
}

static ssize_t seal(struct tls *s, const struct iovec *iov, int count) {
  ssize_t n = tls_wire_seal(&s->wire, iov, count);
  if (n < 0) return TRANSPORT_BROKEN;
  s->fresh_plain += (size_t)n;
  return n;
}

// Encrypts on while all that it becomes leaves at once: how many bytes have left; an error.
static ssize_t send_on(struct tls *s) {
  ssize_t left = pass_on(s), n = left;
  while (n >= 0 && s->flight && !s->sealed.len) {
    ssize_t taken = seal(s, s->flight->iov + s->flight->at, s->flight->count - s->flight->at);
    if (taken < 0) return taken;
    flight_skip(s->flight, (size_t)taken);
    if (!s->flight->len) free(s->flight), s->flight = NULL;
    n = pass_on(s), left += n;
  }
  return n < 0 ? n : left;
}

static ssize_t tls_send(struct transport *t, const struct outq *q) {
  struct tls *s = tls_of(t);
  ssize_t taken = s->state == TLS_OPEN ? seal(s, q->iov, q->count) : TRANSPORT_BROKEN;
  if (taken < 0) return taken;
  if ((size_t)taken < q->len) {
    s->flight = flight_new(q->iov, q->count, q->len);
    flight_skip(s->flight, (size_t)taken);
  }
  return send_on(s);
}

// Reading.

static void read_under(struct tls *s) {
  bool is_full = s->wire.fresh.len > TLS_SEALED_MAX; // of answers to a client that does not take them
  bool waits = !list_empty(&s->turn.link);
  size_t len = s->state == TLS_OPEN ? s->read_len : LOOP_SCRATCH_LEN;
  s->under->ops->want_read(s->under, is_full || waits || s->has_ended ? 0 : len);
}

static void log_refused(const struct tls *s, const char *why) {
  char peer[ADDRESS_TEXT_MAX];
  peer[address_text(&s->transport.peer, peer)] = 0;
  log_message(LOG_DEBUG, "TLS: %s%s: %s", peer, s->state == TLS_SHAKING ? ": no handshake" : "", why);
}

static void count_refused(struct tls *s, const char *why) {
  if (s->state == TLS_SHAKING) counter_add(&s->server->counters->refused_total, 1);
  log_refused(s, why);
}

// The last word to who does not speak TLS; OpenSSL has none.
static void answer_plainly(struct tls *s) {
  static const char answer[] =
      "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 48\r\n"
      "Connection: close\r\n\r\nthis port speaks TLS: the URL begins with https\n";
  buf_append(&s->wire.fresh, answer, sizeof answer - 1);
}

static const char *reason_of(const struct tls *s) {
  const char *reason = ERR_reason_error_string(ERR_peek_error());
  if (tls_wire_is_abused(&s->wire)) return "too many changes of keys";
  if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED)
    return X509_verify_cert_error_string(SSL_get_verify_result(s->wire.ssl));
  return reason ? reason : "it broke off";
}

// An alert says why to the client, where OpenSSL has made one.
static void tls_break(struct tls *s, const char *why) {
  count_refused(s, why);
  s->state = TLS_BROKEN;
  pass_on(s);
  s->transport.sink->on_error(&s->transport, TRANSPORT_BROKEN);
}

static void tls_fail(struct tls *s) {
  bool is_http = s->state == TLS_SHAKING && ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST;
  const char *why = is_http ? "plain HTTP" : reason_of(s);
  if (is_http) answer_plainly(s);
  tls_break(s, why);
}

// The client has ended its side, by a word (close_notify) or without one. Browsers leave it out, so it ends
// as well; whoever cuts a connection leaves it out, too.
static void tls_end_read(struct tls *s, bool is_cut) {
  if (s->has_ended) return;
  s->has_ended = true;
  read_under(s);
  if (is_cut) {
    counter_add(&s->server->counters->truncated_total, 1);
    log_refused(s, "it ended without close_notify: it may have been cut short");
  }
  s->transport.sink->on_end(&s->transport);
}

static void tls_opened(struct tls *s) {
  leave_handshakes(s);
  counter_add(&s->server->counters->handshakes_total, 1);
  if (SSL_session_reused(s->wire.ssl)) counter_add(&s->server->counters->resumed_total, 1);
  s->state = TLS_OPEN;
  s->transport.protocol = (uint8_t)tls_context_protocol(s->wire.ssl);
  tls_wire_opened(&s->wire);
  s->transport.sink->on_open(&s->transport);
}

// One step of the handshake, with what has come.
static void shake(struct tls *s) {
  ERR_clear_error();
  if (!s->wire.ssl) tls_wire_begin(&s->wire, s->server->wire, s->hosts);
  s->wire.input = buf_span(&s->wire.in);
  int n = SSL_do_handshake(s->wire.ssl), error = SSL_get_error(s->wire.ssl, n);
  tls_wire_keep(&s->wire);
  if (n != 1 && error != SSL_ERROR_WANT_READ) tls_fail(s);
  else if (pass_on(s) < 0) tls_break(s, "it broke off");
  else if (n == 1) tls_opened(s);
  else read_under(s);
}

// Hands up what can be read of the input, as far as it is wanted.
static void read_on(struct tls *s) {
  char piece[TLS_RECORD_LEN];
  int error = SSL_ERROR_NONE;
  while (s->read_len && s->state == TLS_OPEN && !s->is_closed) {
    ERR_clear_error();
    int n = SSL_read(s->wire.ssl, piece, (int)MIN(s->read_len, sizeof piece));
    error = SSL_get_error(s->wire.ssl, n);
    if (n <= 0) break;
    s->has_read = true;
    s->transport.sink->on_bytes(&s->transport, (struct span){piece, (size_t)n});
  }
  if (s->is_closed) return;
  tls_wire_keep(&s->wire);
  if (error == SSL_ERROR_ZERO_RETURN) tls_end_read(s, false);
  else if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ) tls_fail(s);
  else if (pass_on(s) < 0) tls_break(s, "it broke off");
  else read_under(s);
}

static void go_on(struct tls_turn *turn) {
  struct tls *s = container_of(turn, struct tls, turn);
  tls_enter(s);
  if (s->state == TLS_SHAKING) shake(s);
  else if (s->state == TLS_OPEN) s->wire.input = buf_span(&s->wire.in), read_on(s);
  tls_leave(s);
}

static void queue(struct tls *s) {
  tls_server_queue(s->server, &s->turn, s->state == TLS_OPEN);
  read_under(s);
}

static void on_bytes(struct transport *t, struct span bytes) {
  struct tls *s = t->owner;
  tls_enter(s);
  if (s->wire.in.len || s->state == TLS_SHAKING) {
    buf_append_span(&s->wire.in, bytes);
    queue(s);
  } else if (s->state == TLS_OPEN) s->wire.input = bytes, read_on(s);
  tls_leave(s);
}

static void on_sent(struct transport *t, size_t len) {
  struct tls *s = t->owner;
  bool was_queued = s->transport.is_queued;
  tls_enter(s);
  s->transport.is_queued = false;
  s->sent += len;
  size_t left = tell_left(s);
  ssize_t more = s->sealed.len ? 0 : send_on(s);
  if (more < 0) tls_break(s, "it broke off");
  else {
    left += (size_t)more;
    if (s->ends && !s->sealed.len && !s->wire.fresh.len) s->under->ops->end(s->under);
    if (left || was_queued) s->transport.sink->on_sent(&s->transport, left);
    if (!s->is_closed) read_under(s);
  }
  tls_leave(s);
}

// What has come before has been read, since more is read from below only then.
static void on_end(struct transport *t) {
  struct tls *s = t->owner;
  tls_enter(s);
  if (s->state == TLS_SHAKING) tls_break(s, "it ended");
  else if (s->state == TLS_OPEN) tls_end_read(s, true);
  tls_leave(s);
}

static void on_error(struct transport *t, enum transport_error why) {
  struct tls *s = t->owner;
  tls_enter(s);
  if (s->state == TLS_SHAKING) count_refused(s, "it broke off");
  s->state = TLS_BROKEN;
  s->transport.sink->on_error(&s->transport, why);
  tls_leave(s);
}

static void on_open(struct transport *t) { read_under(t->owner); }

static const struct transport_sink sink = {
    .on_open = on_open, .on_bytes = on_bytes, .on_sent = on_sent, .on_end = on_end, .on_error = on_error};

static void tls_open(struct transport *t) {
  struct tls *s = tls_of(t);
  s->under->ops->open(s->under);
}

static void tls_want_read(struct transport *t, size_t len) {
  struct tls *s = tls_of(t);
  s->read_len = (uint32_t)MIN(len, (size_t)LOOP_SCRATCH_LEN);
  bool waits = s->state == TLS_OPEN && (s->wire.in.len || SSL_pending(s->wire.ssl));
  if (waits && s->read_len) queue(s);
  else read_under(s);
}

static bool tls_read_now(struct transport *t) {
  struct tls *s = tls_of(t);
  if (s->depth) return false;
  uint32_t wished = s->read_len;
  s->has_read = false, s->read_len = LOOP_SCRATCH_LEN;
  tls_enter(s);
  if (s->state == TLS_OPEN) s->wire.input = buf_span(&s->wire.in), read_on(s);
  if (!s->has_read && !s->is_closed) s->under->ops->read_now(s->under);
  bool any = s->has_read;
  if (!any && !s->is_closed) tls_want_read(t, wished);
  tls_leave(s);
  return any;
}

static void say_end(struct tls *s) {
  if (s->state != TLS_OPEN || SSL_get_shutdown(s->wire.ssl) & SSL_SENT_SHUTDOWN) return;
  SSL_shutdown(s->wire.ssl);
  pass_on(s);
}

static void tls_end(struct transport *t) {
  struct tls *s = tls_of(t);
  say_end(s);
  s->ends = s->sealed.len || s->wire.fresh.len;
  if (!s->ends) s->under->ops->end(s->under);
}

static void tls_close(struct transport *t, bool reset) {
  struct tls *s = tls_of(t);
  if (!reset) say_end(s);
  if (s->state == TLS_SHAKING) count_refused(s, "it was not done in time");
  leave_handshakes(s);
  list_remove(&s->turn.link);
  s->under->ops->close(s->under, reset);
  s->is_closed = true;
  tls_enter(s);
  tls_leave(s);
}

static void tls_bound(struct transport *t, size_t bytes) {
  struct transport *under = tls_of(t)->under;
  under->protocol = t->protocol;
  under->ops->bound(under, bytes);
}

static const struct transport_ops tls_ops = {.open = tls_open,
                                             .send = tls_send,
                                             .want_read = tls_want_read,
                                             .read_now = tls_read_now,
                                             .end = tls_end,
                                             .close = tls_close,
                                             .bound = tls_bound};

struct transport *transport_tls_new(struct tls_server *server, struct transport *under) {
  struct tls *s = xcalloc(1, sizeof *s);
  *s = (struct tls){.transport = {.ops = &tls_ops, .peer = under->peer, .is_secure = true},
                    .under = under,
                    .server = server,
                    .wire = {.loop = server->loop},
                    .turn = {.go_on = go_on}};
  if (server->count >= server->count_max) {
    count_refused(s, "too many handshakes at a time (limits.handshakes)");
    counter_add(&server->counters->crowded_total, 1);
    under->ops->close(under, false);
    free(s);
    return NULL;
  }
  list_init(&s->turn.link);
  server->count++, s->is_counted = true;
  s->hosts = tls_hosts_ref(server->hosts);
  under->sink = &sink, under->owner = s;
  return &s->transport;
}

bool transport_tls_describe(const struct transport *t, struct buf *out) {
  const struct tls *s = container_of(t, struct tls, transport);
  if (t->ops != &tls_ops) return false;
  tls_connection_describe(s->wire.ssl, out);
  return true;
}

bool transport_tls_may_ask(const struct transport *t, struct span host) {
  const struct tls *s = container_of(t, struct tls, transport);
  return t->ops != &tls_ops || tls_hosts_may_ask(s->hosts, tls_hosts_met(s->hosts, s->wire.ssl), host);
}
