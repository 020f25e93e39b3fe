// SPDX-License-Identifier: MIT
#include "loop/transport_memory.h"
#include <stdint.h>

static struct memory_peer *of(const struct transport *t) {
  return container_of(t, struct memory_peer, transport);
}

static ssize_t memory_read(struct transport *t, void *into, size_t len) {
  struct memory_peer *p = of(t);
  if (p->client_reset) return IO_ERROR;
  if (!p->to_server.len) return p->client_ended ? IO_EOF : IO_AGAIN;
  size_t n = MIN(MIN(len, p->to_server.len), p->piece);
  memcpy(into, p->to_server.bytes, n);
  buf_consume(&p->to_server, n);
  return (ssize_t)n;
}

static ssize_t memory_writev(struct transport *t, const struct iovec *iov, int count) {
  struct memory_peer *p = of(t);
  if (p->client_reset || p->client_left) return IO_ERROR;
  size_t taken = 0;
  for (int i = 0; i < count && p->window; i++) {
    size_t n = MIN(iov[i].iov_len, p->window);
    buf_append(&p->to_client, iov[i].iov_base, n);
    p->window -= n, taken += n;
  }
  p->writes += taken > 0;
  return taken ? (ssize_t)taken : IO_AGAIN;
}

static void memory_want(struct transport *t, bool read, bool write) {
  of(t)->wants_read = read, of(t)->wants_write = write;
}

static void memory_shutdown(struct transport *t) { of(t)->server_ended = true; }

static void memory_close(struct transport *t, bool reset) {
  struct memory_peer *p = of(t);
  p->server_closed = true, p->server_reset = reset;
  p->wants_read = p->wants_write = false;
}

static void memory_bound(struct transport *t, size_t bytes) { (void)t, (void)bytes; }

static size_t memory_name(const struct transport *t, char *out, size_t cap) {
  size_t len = MIN(strlen(of(t)->name), cap);
  memcpy(out, of(t)->name, len);
  return len;
}

static const struct transport_ops memory_ops = {.read = memory_read,
                                                .writev = memory_writev,
                                                .sendfile = transport_copy_file,
                                                .want = memory_want,
                                                .shutdown = memory_shutdown,
                                                .close = memory_close,
                                                .bound = memory_bound,
                                                .peer = memory_name};

void memory_peer_init(struct memory_peer *p) {
  *p = (struct memory_peer){
      .transport = {.ops = &memory_ops}, .name = "127.0.0.1", .window = SIZE_MAX, .piece = SIZE_MAX};
}

void memory_peer_deinit(struct memory_peer *p) {
  buf_deinit(&p->to_server);
  buf_deinit(&p->to_client);
}

bool memory_peer_poll(struct memory_peer *p) {
  bool readable = p->to_server.len || p->client_ended || p->client_reset;
  if (p->wants_read && readable) p->transport.sink->on_readable(&p->transport);
  else if (p->wants_write && (p->window || p->client_reset || p->client_left))
    p->transport.sink->on_writable(&p->transport);
  else return false;
  return true;
}
