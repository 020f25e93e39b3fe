// SPDX-License-Identifier: MIT
// Bytes over a socket of TCP or of the UNIX domain. Reading is wished nearly always, since only a read tells
// that a client has left.
#include <errno.h>
#include <ev.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/mem.h"
#include "loop/sock.h"
#include "loop/transport.h"

enum { UNSENT_MAX = 128 << 10 }; // of a file, waiting in the kernel

struct socket_transport {
  struct transport transport;
  struct loop *loop;
  struct ev_io io;
  bool sends_files;
  bool failed; // the kernel does not tell any more what happens to it
  uint8_t peer_len;
  char peer[SOCK_PEER_MAX]; // from the start: a socket that was reset has none any more
};

static struct socket_transport *of(const struct transport *t) {
  return container_of(t, struct socket_transport, transport);
}

static ssize_t code_of(ssize_t n) {
  if (n >= 0) return n;
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? IO_AGAIN : IO_ERROR;
}

static ssize_t socket_read(struct transport *t, void *into, size_t len) {
  return of(t)->failed ? IO_ERROR : code_of(recv(of(t)->io.fd, into, len, 0));
}

static ssize_t socket_writev(struct transport *t, const struct iovec *iov, int count) {
  if (count == 1) return code_of(send(of(t)->io.fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL));
  struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
  return code_of(sendmsg(of(t)->io.fd, &m, MSG_NOSIGNAL));
}

// The kernel would take megabytes for a client that reads slowly, and then seem stalled until a third of them
// is gone.
static void begin_files(struct socket_transport *s) {
  s->sends_files = true;
  setsockopt(s->io.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &(int){UNSENT_MAX}, sizeof(int));
}

static ssize_t socket_sendfile(struct transport *t, int fd, off_t offset, size_t len) {
  struct socket_transport *s = of(t);
  if (!s->sends_files) begin_files(s);
  ssize_t n = sendfile(s->io.fd, fd, &offset, len);
  if (n < 0 && (errno == EINVAL || errno == ENOSYS)) return transport_copy_file(t, fd, offset, len);
  return code_of(n);
}

static void socket_want(struct transport *t, bool read, bool write) {
  struct socket_transport *s = of(t);
  int events = (read ? EV_READ : 0) | (write ? EV_WRITE : 0);
  if ((s->io.events & (EV_READ | EV_WRITE)) == events && ev_is_active(&s->io)) return;
  ev_io_stop(s->loop->ev, &s->io);
  ev_io_modify(&s->io, events);
  if (events) ev_io_start(s->loop->ev, &s->io);
}

static void socket_shutdown(struct transport *t) { shutdown(of(t)->io.fd, SHUT_WR); }

static void socket_close(struct transport *t, bool reset) {
  struct socket_transport *s = of(t);
  int fd = s->io.fd;
  ev_io_stop(s->loop->ev, &s->io);
  if (reset) setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
  close(fd);
  free(s);
}

static void socket_bound(struct transport *t, size_t bytes) {
  int limit = (int)MIN(bytes, (size_t)INT32_MAX / 2);
  setsockopt(of(t)->io.fd, SOL_SOCKET, SO_SNDBUF, &limit, sizeof limit);
}

static size_t socket_peer(const struct transport *t, char *out, size_t cap) {
  const struct socket_transport *s = of(t);
  size_t len = MIN((size_t)s->peer_len, cap);
  memcpy(out, s->peer, len);
  return len;
}

static const struct transport_ops socket_ops = {.read = socket_read,
                                                .writev = socket_writev,
                                                .sendfile = socket_sendfile,
                                                .want = socket_want,
                                                .shutdown = socket_shutdown,
                                                .close = socket_close,
                                                .bound = socket_bound,
                                                .peer = socket_peer};

static void on_ready(struct ev_loop *ev, struct ev_io *w, int events) {
  (void)ev;
  struct socket_transport *s = container_of(w, struct socket_transport, io);
  if (events & EV_ERROR) s->failed = true;
  // What else is ready shows at the next poll. The end of a client that is always ready to take more must not
  // go unseen.
  if (events & EV_READ) s->transport.sink->on_readable(&s->transport);
  else s->transport.sink->on_writable(&s->transport);
}

struct transport *transport_socket_new(struct loop *l, int fd) {
  struct socket_transport *s = xmalloc(sizeof *s);
  *s = (struct socket_transport){.transport = {.ops = &socket_ops}, .loop = l};
  s->peer_len = (uint8_t)sock_peer(fd, s->peer, sizeof s->peer);
  ev_io_init(&s->io, on_ready, fd, EV_READ);
  return &s->transport;
}
