// SPDX-License-Identifier: MIT
// The harness's transport. What was sent stays in flight until the peer's window lets it leave, in steps as
// small as a spec likes, so that whoever sends meets every place at which a socket could stop.
#include "loop/transport_memory.h"
#include <stdint.h>
#include <unistd.h>

static struct memory_peer *memory_of(struct transport *t) {
  return container_of(t, struct memory_peer, transport);
}

static bool is_broken(const struct memory_peer *p) { return p->client_reset || p->client_left; }

// Whether the call that is made now fails.
static bool strikes(struct memory_fault *f) { return f->in && !--f->in; }

// Of a part of a file; an error where that ends before its part.
static ssize_t leave_file(struct memory_peer *p, size_t room) {
  size_t len = MIN(p->flight.len - p->flight_at, room);
  off_t at = (off_t)(p->flight.offset + p->flight_at);
  ssize_t n = len ? pread(p->flight.fd, buf_reserve(&p->to_client, len), len, at) : 0;
  if (n > 0) p->to_client.len += (size_t)n;
  return n || !len ? n : TRANSPORT_FILE_SHORT;
}

static ssize_t leave_memory(struct memory_peer *p, size_t room) {
  const struct outq *q = &p->flight;
  size_t at = p->flight_at, sent = 0;
  for (int i = 0; i < q->count; i++) {
    size_t skipped = MIN(at, q->iov[i].iov_len), n = MIN(q->iov[i].iov_len - skipped, room - sent);
    buf_append(&p->to_client, (const char *)q->iov[i].iov_base + skipped, n);
    sent += n, at -= skipped;
  }
  return (ssize_t)sent;
}

// Moves what may leave now; its number of bytes, or an error.
static ssize_t memory_leave(struct memory_peer *p) {
  size_t room = MIN(p->window, p->step);
  ssize_t sent = p->flight.count ? leave_memory(p, room) : leave_file(p, room);
  if (sent <= 0) return sent;
  p->window -= (size_t)sent, p->flight_at += (size_t)sent;
  if (p->flight_at == p->flight.len) p->flight.len = p->flight_at = 0;
  p->writes++;
  if (p->clock) p->clock->now += p->write_seconds;
  return sent;
}

// What the first call for it takes.
static ssize_t memory_call(struct memory_peer *p) {
  if (strikes(&p->send_fault)) return p->send_fault.is_for_now ? 0 : TRANSPORT_BROKEN;
  return p->is_late ? 0 : memory_leave(p);
}

static void on_batched(struct batched *b, const struct batch_outcome *outcome) {
  struct memory_peer *p = container_of(b, struct memory_peer, batched);
  (void)outcome;
  p->transport.is_queued = false;
  ssize_t n = memory_call(p);
  if (n < 0) p->transport.sink->on_error(&p->transport, (enum transport_error)n);
  else p->transport.sink->on_sent(&p->transport, (size_t)n);
}

static ssize_t memory_send(struct transport *t, const struct outq *q) {
  struct memory_peer *p = memory_of(t);
  if (is_broken(p)) return TRANSPORT_BROKEN;
  p->flight.count = q->count, p->flight.len = q->len, p->flight_at = 0;
  p->flight.fd = q->fd, p->flight.offset = q->offset;
  memcpy(p->flight.iov, q->iov, (size_t)q->count * sizeof *q->iov);
  if (q->count && batch_join(p->batch, &p->batched, on_batched)) {
    t->is_queued = true;
    return 0;
  }
  return memory_call(p);
}

static void memory_open(struct transport *t) {
  if (!memory_of(t)->is_closed) t->sink->on_open(t);
}

static void memory_want_read(struct transport *t, size_t len) { memory_of(t)->read_len = len; }

static bool memory_read_now(struct transport *t) {
  struct memory_peer *p = memory_of(t);
  if (!p->to_server.len || strikes(&p->read_fault)) return false;
  struct buf bytes = p->to_server;
  p->to_server = (struct buf){0};
  t->sink->on_bytes(t, buf_span(&bytes));
  buf_deinit(&bytes);
  return true;
}

static void memory_end(struct transport *t) { memory_of(t)->server_ended = true; }

static void memory_close(struct transport *t, bool reset) {
  struct memory_peer *p = memory_of(t);
  batch_withdraw(p->batch, &p->batched);
  p->server_closed = true, p->server_reset = reset;
  p->read_len = p->flight.len = 0;
}

static void memory_bound(struct transport *t, size_t bytes) { memory_of(t)->bound = bytes; }

static const struct transport_ops memory_ops = {.open = memory_open,
                                                .send = memory_send,
                                                .want_read = memory_want_read,
                                                .read_now = memory_read_now,
                                                .end = memory_end,
                                                .close = memory_close,
                                                .bound = memory_bound};

void memory_peer_open(struct memory_peer *p) {
  if (!p->is_closed || p->server_closed) return;
  p->is_closed = false;
  p->transport.sink->on_open(&p->transport);
}

void memory_peer_init(struct memory_peer *p) {
  *p = (struct memory_peer){
      .transport = {.ops = &memory_ops}, .window = SIZE_MAX, .piece = SIZE_MAX, .step = SIZE_MAX};
}

void memory_peer_deinit(struct memory_peer *p) {
  buf_deinit(&p->to_server);
  buf_deinit(&p->to_client);
}

static void read_some(struct memory_peer *p) {
  struct transport *t = &p->transport;
  if (strikes(&p->read_fault)) {
    if (!p->read_fault.is_for_now) t->sink->on_error(t, TRANSPORT_BROKEN);
    return;
  }
  size_t n = MIN(MIN(p->read_len, p->to_server.len), p->piece);
  if (p->client_reset) t->sink->on_error(t, TRANSPORT_BROKEN);
  else if (!n) t->sink->on_end(t);
  else {
    t->sink->on_bytes(t, (struct span){p->to_server.bytes, n});
    buf_consume(&p->to_server, n);
  }
}

static bool send_on(struct memory_peer *p) {
  bool is_struck = strikes(&p->send_fault);
  if (is_struck && p->send_fault.is_for_now) return true;
  ssize_t sent = is_broken(p) || is_struck ? TRANSPORT_BROKEN : memory_leave(p);
  if (sent < 0) p->transport.sink->on_error(&p->transport, (enum transport_error)sent);
  if (sent > 0) p->transport.sink->on_sent(&p->transport, (size_t)sent);
  return sent != 0;
}

bool memory_peer_poll(struct memory_peer *p) {
  if (p->is_closed && p->client_reset && !p->server_closed) {
    p->transport.sink->on_error(&p->transport, TRANSPORT_BROKEN);
    return true;
  }
  bool is_readable = p->to_server.len || p->client_ended || p->client_reset;
  if (p->read_len && is_readable) read_some(p);
  else return p->flight.len && send_on(p);
  return true;
}
