// SPDX-License-Identifier: MIT
// Bytes over a socket of TCP or of the UNIX domain. Reading is wished nearly always, since only a read tells
// that a client has left. What the kernel does not take at once waits here: its pieces are noted, not copied.
// While the loop's batch is open, memory goes that way.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/mem.h"
#include "loop/batch.h"
#include "loop/flight.h"
#include "loop/sock.h"
#include "loop/transport.h"
#include "loop/watch.h"

enum {
  UNSENT_MAX = 128 << 10, // of a file, waiting in the kernel
  COPY_LEN = 64 << 10     // of a file that the kernel cannot send by itself
};

struct socket_transport {
  struct transport transport;
  struct watch watch;
  struct flight *flight; // NULL: all has left, or is in the batch
  uint32_t read_len;
  struct batched batched;
  bool sends_files;
};

static struct socket_transport *socket_of(struct transport *t) {
  return container_of(t, struct socket_transport, transport);
}

static void watch_socket(struct socket_transport *s) {
  watch_set(&s->watch, (s->read_len ? WATCH_READ : 0) | (s->flight ? WATCH_WRITE : 0));
}

static bool is_for_now(void) { return errno == EAGAIN || errno == EINTR; }

static ssize_t taken(ssize_t n) {
  if (n >= 0) return n;
  return is_for_now() ? 0 : TRANSPORT_BROKEN;
}

static ssize_t send_memory(int fd, const struct iovec *iov, int count) {
  if (count == 1) return taken(send(fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL));
  struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
  return taken(sendmsg(fd, &m, MSG_NOSIGNAL));
}

// The kernel would take megabytes for a client that reads slowly, and then seem stalled until a third of them
// is gone.
static void begin_files(struct socket_transport *s) {
  s->sends_files = true;
  setsockopt(s->watch.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &(int){UNSENT_MAX}, sizeof(int));
}

static ssize_t copy_file(int socket, int fd, uint64_t offset, size_t len) {
  char piece[COPY_LEN];
  ssize_t n = pread(fd, piece, MIN(len, sizeof piece), (off_t)offset);
  if (n < 0) return taken(n);
  return n ? taken(send(socket, piece, (size_t)n, MSG_NOSIGNAL)) : TRANSPORT_FILE_SHORT;
}

// Sends on until all has left or the kernel takes no more.
static ssize_t send_file(struct socket_transport *s, int fd, uint64_t offset, size_t len) {
  size_t sent = 0;
  if (!s->sends_files) begin_files(s);
  while (sent < len) {
    off_t at = (off_t)(offset + sent);
    ssize_t n = sendfile(s->watch.fd, fd, &at, len - sent);
    if (n == 0) return TRANSPORT_FILE_SHORT;
    if (n < 0 && (errno == EINVAL || errno == ENOSYS))
      n = copy_file(s->watch.fd, fd, offset + sent, len - sent);
    else n = taken(n);
    if (n < 0) return n;
    if (!n) break;
    sent += (size_t)n;
  }
  return (ssize_t)sent;
}

// What is left behind `sent` bytes waits for room.
static void await_room(struct socket_transport *s, size_t sent) {
  flight_skip(s->flight, sent);
  watch_socket(s);
}

static void on_batched(struct batched *b, const struct batch_outcome *o) {
  struct socket_transport *s = container_of(b, struct socket_transport, batched);
  const struct transport_sink *sink = s->transport.sink;
  s->transport.is_queued = false;
  if (o->sent < 0) {
    sink->on_error(&s->transport, TRANSPORT_BROKEN);
    return;
  }
  if ((size_t)o->sent < o->len) {
    s->flight = flight_new(o->iov, o->count, o->len);
    await_room(s, (size_t)o->sent);
  }
  sink->on_sent(&s->transport, (size_t)o->sent);
}

static bool queue_send(struct socket_transport *s, const struct outq *q) {
  return s->transport.is_queued =
             batch_send(s->watch.loop->batch, &s->batched, s->watch.fd, q->iov, q->count, q->len, on_batched);
}

static ssize_t socket_send(struct transport *t, const struct outq *q) {
  struct socket_transport *s = socket_of(t);
  if (q->count && batch_is_open(s->watch.loop->batch) && queue_send(s, q)) return 0;
  ssize_t n = q->count ? send_memory(s->watch.fd, q->iov, q->count) : send_file(s, q->fd, q->offset, q->len);
  if (n < 0 || (size_t)n == q->len) return n;
  s->flight = flight_new(q->iov, q->count, q->len);
  s->flight->fd = q->fd, s->flight->offset = q->offset;
  await_room(s, (size_t)n);
  return n;
}

static void on_writable(struct socket_transport *s) {
  struct flight *f = s->flight;
  ssize_t n = f->count ? send_memory(s->watch.fd, f->iov + f->at, f->count - f->at)
                       : send_file(s, f->fd, f->offset, f->len);
  if (n < 0) {
    s->transport.sink->on_error(&s->transport, (enum transport_error)n);
    return;
  }
  flight_skip(f, (size_t)n);
  if (!f->len) {
    free(f);
    s->flight = NULL;
    watch_socket(s);
  }
  if (n) s->transport.sink->on_sent(&s->transport, (size_t)n);
}

static bool socket_read_now(struct transport *t) {
  struct loop *l = socket_of(t)->watch.loop;
  ssize_t n = recv(socket_of(t)->watch.fd, l->scratch, LOOP_SCRATCH_LEN, 0);
  if (n <= 0) return false;
  t->sink->on_bytes(t, (struct span){l->scratch, (size_t)n});
  return true;
}

static void on_readable(struct socket_transport *s) {
  const struct transport_sink *sink = s->transport.sink;
  char *into = s->watch.loop->scratch;
  ssize_t n = recv(s->watch.fd, into, s->read_len, 0);
  if (n > 0) sink->on_bytes(&s->transport, (struct span){into, (size_t)n});
  else if (n == 0) sink->on_end(&s->transport);
  else if (!is_for_now()) sink->on_error(&s->transport, TRANSPORT_BROKEN);
}

static void on_ready(struct watch *w, unsigned events) {
  struct socket_transport *s = container_of(w, struct socket_transport, watch);
  // What else is ready shows at the next poll. The end of a client that is always ready to take more must not
  // go unseen.
  if (events & WATCH_READ) on_readable(s);
  else if (s->flight) on_writable(s);
}

static void socket_open(struct transport *t) { t->sink->on_open(t); }

static void socket_want_read(struct transport *t, size_t len) {
  socket_of(t)->read_len = (uint32_t)MIN(len, (size_t)LOOP_SCRATCH_LEN);
  watch_socket(socket_of(t));
}

static void socket_end(struct transport *t) { shutdown(socket_of(t)->watch.fd, SHUT_WR); }

static void socket_close(struct transport *t, bool reset) {
  struct socket_transport *s = socket_of(t);
  int fd = s->watch.fd;
  batch_withdraw(s->watch.loop->batch, &s->batched);
  watch_stop(&s->watch);
  if (reset) setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = true}, sizeof(struct linger));
  close(fd);
  free(s->flight);
  free(s);
}

// What many streams share is not slowed down to what one may have on its way: only what is unsent is bounded.
static void socket_bound(struct transport *t, size_t bytes) {
  int limit = (int)MIN(bytes, (size_t)INT32_MAX / 2), fd = socket_of(t)->watch.fd;
  if (t->protocol == PROTOCOL_HTTP2) setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &limit, sizeof limit);
  else setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &limit, sizeof limit);
}

static const struct transport_ops socket_ops = {.open = socket_open,
                                                .send = socket_send,
                                                .want_read = socket_want_read,
                                                .read_now = socket_read_now,
                                                .end = socket_end,
                                                .close = socket_close,
                                                .bound = socket_bound};

struct transport *transport_socket_new(struct loop *l, int fd) {
  struct socket_transport *s = xmalloc(sizeof *s);
  *s = (struct socket_transport){
      .transport = {.ops = &socket_ops, .peer = sock_peer(fd), .takes_files = true}};
  s->watch.on_ready = on_ready;
  watch_start(&s->watch, l, fd, 0);
  return &s->transport;
}
