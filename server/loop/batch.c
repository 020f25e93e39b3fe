// SPDX-License-Identifier: MIT
// Nothing becomes asynchronous by it: when batch_close has entered the kernel every send is over, and who
// sent is told in the same order. Where the kernel does not take them all, such as without memory, the rest
// is sent one by one, and the ring is given up for a while.
#include "loop/batch.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/log.h"
#include "base/mem.h"

static const double PAUSE_SECONDS = 10; // before another ring is tried in a failed one's place

enum { ALL = BATCH_BYTES_MAX + 1 }; // the result of a send that has left whole

static struct batch *batch_make(struct ring *ring, bool is_of_memory) {
  struct batch *b = xmalloc(sizeof *b);
  b->ring = ring, b->is_of_memory = is_of_memory, b->is_open = b->has_told = false;
  b->count = b->pieces = 0, b->bytes = 0;
  return b;
}

struct batch *batch_new(const char **why) {
  struct ring *ring = ring_new(why);
  return ring ? batch_make(ring, false) : NULL;
}

struct batch *batch_new_of_memory(void) {
  return batch_make(NULL, true);
}

void batch_free(struct batch *b) {
  if (b) ring_free(b->ring);
  free(b);
}

// Told once: where the memory for it is short it may go on so for days.
static void give_up(struct batch *b, double now, const char *why) {
  ring_free(b->ring);
  b->ring = NULL, b->closed_until = now + PAUSE_SECONDS;
  if (!b->has_told)
    log_message(LOG_WARN, "io_uring: %s; sends go one by one, and it is tried again every %g s", why,
                PAUSE_SECONDS);
  b->has_told = true;
}

void batch_open(struct batch *b, double now) {
  const char *why;
  if (!b->is_of_memory && !b->ring && now >= b->closed_until) {
    b->ring = ring_new(&why);
    if (!b->ring) give_up(b, now, why);
  }
  b->is_open = b->ring || b->is_of_memory;
}

static bool has_place(const struct batch *b) { return b->count < RING_SENDS_MAX; }

static bool has_room(const struct batch *b, unsigned count, size_t len) {
  return has_place(b) && b->pieces + count <= BATCH_PIECES_MAX && b->bytes + len <= BATCH_BYTES_MAX;
}

static inline struct batch_send *batch_place(struct batch *b, struct batched *who,
                                             void (*on_done)(struct batched *who,
                                                             const struct batch_outcome *outcome)) {
  b->results[b->count] = ALL;
  struct batch_send *s = &b->sends[b->count++];
  s->who = who, s->on_done = on_done;
  who->place = (uint16_t)b->count;
  return s;
}

bool batch_send(struct batch *b, struct batched *who, int fd, const struct iovec *iov, int count, size_t len,
                void (*on_done)(struct batched *who, const struct batch_outcome *outcome)) {
  if (!batch_is_open(b) || !has_room(b, (unsigned)count, len)) return false;
  struct iovec *pieces = b->iov + b->pieces;
  memcpy(pieces, iov, (size_t)count * sizeof *iov);
  ring_send(b->ring, b->count, fd, pieces, (size_t)count);
  struct batch_send *s = batch_place(b, who, on_done);
  s->fd = fd;
  s->send.iov = pieces, s->send.count = count, s->send.len = len;
  b->pieces += (unsigned)count, b->bytes += len;
  return true;
}

bool batch_join(struct batch *b, struct batched *who,
                void (*on_done)(struct batched *who, const struct batch_outcome *outcome)) {
  if (!batch_is_open(b) || !has_place(b)) return false;
  batch_place(b, who, on_done);
  return true;
}

static int send_now(const struct batch_send *s) {
  struct msghdr m = {.msg_iov = s->send.iov, .msg_iovlen = (size_t)s->send.count};
  ssize_t n = sendmsg(s->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
  return n < 0 ? -errno : (int)n;
}

void batch_withdraw(struct batch *b, struct batched *who) {
  if (!who->place) return;
  struct batch_send *s = b->sends + who->place - 1;
  if (b->is_open && b->ring) {
    ring_leave_out(b->ring, who->place - 1u);
    send_now(s);
  }
  s->who = NULL;
  who->place = 0;
}

static void tell(struct batch *b, unsigned i) {
  struct batch_send *s = b->sends + i;
  int n = b->results[i];
  if (!s->who) return;
  s->who->place = 0;
  if (n >= 0) s->send.sent = n == ALL ? (ssize_t)s->send.len : n;
  else s->send.sent = n == -EAGAIN || n == -EINTR ? 0 : -1;
  s->on_done(s->who, &s->send);
}

// Those that the kernel has not taken.
static void send_rest(struct batch *b, unsigned from) {
  for (unsigned i = from; i < b->count; i++)
    if (b->sends[i].who) b->results[i] = send_now(b->sends + i);
}

unsigned batch_close(struct batch *b, double now) {
  unsigned count = b->count, taken = count;
  b->is_open = false;
  if (!count) return 0;
  if (b->ring) taken = ring_enter(b->ring, b->results);
  if (taken < count) {
    give_up(b, now, "the kernel does not take what it is given");
    send_rest(b, taken);
  }
  for (unsigned i = 0; i < count; i++) tell(b, i);
  b->count = b->pieces = 0, b->bytes = 0;
  return taken;
}
