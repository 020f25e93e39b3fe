// SPDX-License-Identifier: MIT
// floor: the limit to measure against. A bare epoll loop on one thread that keeps event streams and calls
// write(2) once per connection and event, with an event framed beforehand: no Lua, no routing, no history,
// no queue. Every GET becomes a stream; the one-line body of every POST goes to all streams.
//
//   floor PORT [-t MS] [-s] [-l] [-u]
//
// -t MS   writes an event to every stream each MS milliseconds, to all of them in one go
// -s      with -t: spreads the streams evenly over the MS milliseconds, as timers of their own would
// -l      with -t: an event is its number, the time in nanoseconds and as much more as makes 60 bytes
// -u      the second floor: the writes of an event go to the kernel together, by io_uring
//
// Invariant: place[fd] is the index of fd in subs, plus one; 0 for a connection that is not a stream.
// An event for a full socket is dropped: the client that counts events sees it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_LIBURING
#include <liburing.h>
#endif

enum { FD_MAX = 1 << 17, INPUT_MAX = 1 << 17, BATCH = 256 };

static int subs[FD_MAX], sub_count, place[FD_MAX];
static int poll_fd, listen_fd;
static char input[INPUT_MAX + 1], frame[INPUT_MAX + 64];

static const char stream_head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                  "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char no_content[] = "HTTP/1.1 204 No Content\r\n\r\n";

static double now_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void drop(int fd) {
  if (place[fd]) {
    int at = place[fd] - 1, last = subs[--sub_count];
    subs[at] = last;
    place[last] = at + 1;
    place[fd] = 0;
  }
  close(fd);
}

// False when the connection is gone; a write that was cut short would break the framing, so it ends it too.
static bool put(int fd, const char *bytes, size_t len) {
  ssize_t n = write(fd, bytes, len);
  return n == (ssize_t)len || (n < 0 && errno == EAGAIN);
}

static size_t make_frame(const char *data, int len) {
  return (size_t)snprintf(frame, sizeof frame, "%x\r\ndata: %.*s\n\n\r\n", (unsigned)len + 8, len, data);
}

#ifdef WITH_LIBURING
enum { SENDS_MAX = 2048 };
static struct io_uring ring;
static bool has_ring;

static void start_ring(void) {
  struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
  int error = io_uring_queue_init_params(SENDS_MAX, &ring, &params);
  if (error) fprintf(stderr, "floor: io_uring: %s\n", strerror(-error)), exit(1);
  has_ring = true;
}

// What fails is told of: the others are not.
static void enter(void) {
  struct io_uring_cqe *cqe;
  unsigned head, told = 0;
  io_uring_submit(&ring);
  io_uring_for_each_cqe(&ring, head, cqe) {
    if (cqe->res != -EAGAIN && place[cqe->user_data]) drop((int)cqe->user_data);
    told++;
  }
  io_uring_cq_advance(&ring, told);
}

static void fan_out_together(size_t len, int first, int step) {
  unsigned count = 0;
  for (int i = first; i < sub_count; i += step) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    io_uring_prep_send(sqe, subs[i], frame, len, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_WAITALL);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = (unsigned)subs[i];
    if (++count % SENDS_MAX == 0) enter();
  }
  enter();
}
#else
static const bool has_ring = false;
static void start_ring(void) { fprintf(stderr, "floor: compiled without liburing\n"), exit(1); }
static void fan_out_together(size_t len, int first, int step) { (void)len, (void)first, (void)step; }
#endif

// Writes the frame to every step-th stream; backwards, because drop() moves the last one into the gap.
static void fan_out(size_t len, int first, int step) {
  if (first >= sub_count) return;
  if (has_ring) {
    fan_out_together(len, first, step);
    return;
  }
  for (int i = first + (sub_count - 1 - first) / step * step; i >= 0; i -= step) {
    if (i < sub_count && !put(subs[i], frame, len)) drop(subs[i]);
  }
}

static void accept_one(void) {
  int one = 1, fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK);
  if (fd < 0) return;
  if (fd >= FD_MAX) {
    close(fd);
    return;
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &e);
}

// The length of the complete request at the start of the input, 0 when more is to come. `body` is where its
// body starts.
static size_t request_len(size_t have, size_t *body) {
  input[have] = 0;
  char *end = strstr(input, "\r\n\r\n");
  if (!end) return 0;
  char *field = strcasestr(input, "\r\ncontent-length:");
  size_t len = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
  *body = (size_t)(end + 4 - input);
  return len <= have - *body ? *body + len : 0;
}

static bool answer(int fd, size_t body, size_t len) {
  if (strncmp(input, "GET ", 4) != 0) {
    fan_out(make_frame(input + body, (int)(len - body)), 0, 1);
    return put(fd, no_content, sizeof no_content - 1);
  }
  if (!place[fd]) {
    subs[sub_count++] = fd;
    place[fd] = sub_count;
  }
  return put(fd, stream_head, sizeof stream_head - 1);
}

// Peeks until a request is complete, so that no connection needs a buffer.
static void on_input(int fd, bool hung_up) {
  ssize_t have = recv(fd, input, INPUT_MAX, MSG_PEEK);
  if (have < 0 && errno == EAGAIN) return;
  size_t body = 0, len = have > 0 ? request_len((size_t)have, &body) : 0;
  if (have <= 0 || (!len && (hung_up || have == INPUT_MAX))) {
    drop(fd);
    return;
  }
  if (len && (recv(fd, input, len, 0) != (ssize_t)len || !answer(fd, body, len))) drop(fd);
}

static void start(int port) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  int one = 1;
  listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in at = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(listen_fd, (struct sockaddr *)&at, sizeof at) || listen(listen_fd, 4096)) {
    perror("floor: listen");
    exit(1);
  }
  poll_fd = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN, .data.fd = listen_fd};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, listen_fd, &e);
}

static void turn(int timeout_ms) {
  struct epoll_event ready[BATCH];
  int count = epoll_wait(poll_fd, ready, BATCH, timeout_ms);
  for (int i = 0; i < count; i++) {
    if (ready[i].data.fd == listen_fd) accept_one();
    else on_input(ready[i].data.fd, ready[i].events & (EPOLLRDHUP | EPOLLHUP));
  }
}

// Ticks fall due at multiples of the period, whatever the turns in between took. The wait is rounded up:
// rounded down, the loop would spin through the last millisecond and bill it to the events.
static void run_ticks(double period, int slots, bool timed) {
  double next = now_seconds() + period / slots;
  for (unsigned long n = 0;; n++, next += period / slots) {
    for (double left; (left = next - now_seconds()) > 0;) turn((int)(left * 1e3) + 1);
    turn(0);
    char text[96];
    unsigned long number = n / (unsigned long)slots + 1;
    int len = timed ? snprintf(text, sizeof text, "%lu %.0f %-60s", number, now_seconds() * 1e9, "x")
                    : snprintf(text, sizeof text, "%lu", number);
    fan_out(make_frame(text, timed ? 60 : len), (int)(n % (unsigned long)slots), slots);
  }
}

int main(int argc, char **argv) {
  int option, tick_ms = 0, spread = 0, timed = 0;
  while ((option = getopt(argc, argv, "t:slu")) != -1) {
    if (option == 't') tick_ms = atoi(optarg);
    else if (option == 's') spread = 1;
    else if (option == 'l') timed = 1;
    else if (option == 'u') start_ring();
    else return 2;
  }
  if (optind != argc - 1 || tick_ms < 0) {
    fprintf(stderr, "usage: floor PORT [-t MS] [-s] [-l] [-u]\n");
    return 2;
  }
  start(atoi(argv[optind]));
  if (tick_ms > 0) run_ticks(tick_ms / 1e3, spread ? tick_ms : 1, timed);
  for (;;) turn(-1);
}
