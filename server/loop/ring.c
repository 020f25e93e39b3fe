// SPDX-License-Identifier: MIT
// Sends are asked for with MSG_DONTWAIT, so none goes on in the kernel behind our back, and with
// IOSQE_CQE_SKIP_SUCCESS, so that the many that leave whole cost no answer. By itself that hides a send that
// was cut short, which counts as a success; MSG_WAITALL makes it a failure, which is told with the bytes that
// have left (kernel 6.1 and newer). Since all stands on that, a ring tries it out before it is used.
#include "loop/ring.h"

#ifdef LIBURING_VERSION
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/util.h"

enum {
  RING_FLAGS = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL,
  SENT_FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_WAITALL,
  UNTOLD = -4096,
  LITTLE_ROOM = 4096,  // of a socket that is tried ...
  TOO_MUCH = 256 << 10 // ... and what does not fit into it
};

struct ring {
  struct io_uring io;
  struct io_uring_sqe *sqes[RING_SENDS_MAX];
  struct msghdr messages[RING_SENDS_MAX];
};

void ring_send(struct ring *r, unsigned number, int fd, struct iovec *iov, size_t count) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(&r->io);
  r->sqes[number] = sqe;
  if (count == 1) io_uring_prep_send(sqe, fd, iov->iov_base, iov->iov_len, SENT_FLAGS);
  else {
    r->messages[number] = (struct msghdr){.msg_iov = iov, .msg_iovlen = count};
    io_uring_prep_sendmsg(sqe, fd, &r->messages[number], SENT_FLAGS);
  }
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe->user_data = number;
}

void ring_leave_out(struct ring *r, unsigned number) {
  io_uring_prep_nop(r->sqes[number]); // keeps its number, and is told of
}

unsigned ring_enter(struct ring *r, int results[]) {
  struct io_uring_cqe *cqe;
  unsigned head, told = 0;
  int taken = io_uring_submit(&r->io);
  io_uring_for_each_cqe(&r->io, head, cqe) {
    results[cqe->user_data] = cqe->res;
    told++;
  }
  io_uring_cq_advance(&r->io, told);
  return (unsigned)MAX(taken, 0);
}

static int short_send(struct ring *r, int fd, struct iovec *iov, size_t count) {
  int result = UNTOLD;
  ring_send(r, 0, fd, iov, count);
  ring_enter(r, &result);
  return result;
}

// More than there is room for is cut short, and once more finds no room at all: in one piece, and in two.
static bool tells_of_short_sends(struct ring *r) {
  static char zeros[TOO_MUCH];
  struct iovec iov[] = {{zeros, sizeof zeros}, {zeros, sizeof zeros}};
  bool tells = true;
  for (size_t count = 1; count <= countof(iov) && tells; count++) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return false;
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &(int){LITTLE_ROOM}, sizeof(int));
    int first = short_send(r, pair[0], iov, count);
    tells = (size_t)first < sizeof zeros && short_send(r, pair[0], iov, count) == -EAGAIN;
    close(pair[0]), close(pair[1]);
  }
  return tells;
}

static const char *refusal_of(int error) {
  if (error == ENOSYS) return "the kernel has none";
  if (error == EPERM || error == EACCES) return "the system forbids it";
  if (error == EINVAL) return "the kernel is older than 6.1";
  return strerrordesc_np(error);
}

struct ring *ring_new(const char **why) {
  struct io_uring_params params = {.flags = RING_FLAGS};
  struct ring *r = xmalloc(sizeof *r);
  int error = -io_uring_queue_init_params(RING_SENDS_MAX, &r->io, &params);
  if (error) {
    free(r);
    *why = refusal_of(error);
    return NULL;
  }
  if (tells_of_short_sends(r)) return r;
  ring_free(r);
  *why = "the kernel does not tell of what it cuts short";
  return NULL;
}

void ring_free(struct ring *r) {
  if (!r) return;
  io_uring_queue_exit(&r->io);
  free(r);
}

const char *ring_library_version(void) { return LIBURING_VERSION; }
#else
struct ring {
  char none;
};

struct ring *ring_new(const char **why) {
  *why = "built without liburing";
  return NULL;
}

void ring_free(struct ring *r) { (void)r; }

void ring_send(struct ring *r, unsigned number, int fd, struct iovec *iov, size_t count) {
  (void)r, (void)number, (void)fd, (void)iov, (void)count;
}

void ring_leave_out(struct ring *r, unsigned number) { (void)r, (void)number; }

unsigned ring_enter(struct ring *r, int results[]) {
  (void)r, (void)results;
  return 0;
}

const char *ring_library_version(void) { return NULL; }
#endif
