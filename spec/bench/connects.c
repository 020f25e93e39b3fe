// SPDX-License-Identifier: MIT
// connects: opens connections at a server on loopback as fast as it takes them, asks for one short answer on
// each and keeps all of them open; meanwhile event streams that were there before are watched. One line of
// JSON: the time and the server's CPU time per connection, the longest time between two reads of a stream
// while connections came, and how many of those were later than the pace of events by 50 ms or more.
//
//   connects -p PORT -g PATH -c CONNECTIONS -S PID [-G STREAM_PATH -s STREAMS -i INTERVAL_SECONDS]
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "usage.h"

enum { BATCH = 64, FDS_MAX = 40000, PENDING_MAX = 512, BEGUN_PER_TURN = 8, TIMEOUT = 60 };
static const double LATE = 0.05;

static struct {
  const char *path, *stream_path;
  int port, connections, streams;
  double interval;
  pid_t pid;
} opt = {.path = "/", .stream_path = "/", .connections = 15000, .interval = 0.1};

static struct {
  bool is_stream, has_asked;
  double last_read;
} kept[FDS_MAX]; // by descriptor

static struct {
  int opened, answered;
  long reads, late;
  double worst;
} seen;

static int epoll;

static bool may_begin(void) {
  return seen.opened < opt.connections && seen.opened - seen.answered < PENDING_MAX;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what) {
  fprintf(stderr, "connects: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void ask(int fd, const char *path) {
  char request[512];
  int len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: connects\r\n\r\n", path);
  if (send(fd, request, (size_t)len, MSG_NOSIGNAL) != len) die("send");
  kept[fd].has_asked = true;
}

static void begin(bool is_stream) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)opt.port)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || fd >= FDS_MAX) die("socket");
  if (connect(fd, (void *)&a, sizeof a) < 0 && errno != EINPROGRESS) die("connect");
  kept[fd].is_stream = is_stream;
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.fd = fd};
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
}

static void on_connected(int fd) {
  struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
  ask(fd, kept[fd].is_stream ? opt.stream_path : opt.path);
  epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &e);
}

static void on_readable(int fd, double from) {
  char bytes[4096];
  if (read(fd, bytes, sizeof bytes) <= 0) die("a connection has ended");
  double at = now(), gap = at - kept[fd].last_read;
  kept[fd].last_read = at;
  if (!kept[fd].is_stream) {
    seen.answered++;
    return;
  }
  if (!from || at - gap < from - opt.interval) return;
  seen.reads++;
  seen.late += gap >= opt.interval + LATE;
  seen.worst = gap > seen.worst ? gap : seen.worst;
}

// `from`: since when the pace of streams counts; 0: not yet.
static void turn(double from) {
  struct epoll_event events[BATCH];
  int n = epoll_wait(epoll, events, BATCH, from && may_begin() ? 0 : 100);
  for (int i = 0; i < n; i++) {
    int fd = events[i].data.fd;
    if (events[i].events & EPOLLIN) on_readable(fd, from);
    else if (!kept[fd].has_asked) on_connected(fd);
    else die("a connection");
  }
}

// A few at a time, so that streams are looked at in between.
static double connect_all(double from) {
  while (seen.answered < opt.connections && now() < from + TIMEOUT) {
    for (int i = 0; i < BEGUN_PER_TURN && may_begin(); i++) begin(false), seen.opened++;
    turn(from);
  }
  return now() - from;
}

int main(int argc, char **argv) {
  for (int c; (c = getopt(argc, argv, "p:g:G:c:s:S:i:")) != -1;) {
    if (c == 'p') opt.port = atoi(optarg);
    else if (c == 'g') opt.path = optarg;
    else if (c == 'G') opt.stream_path = optarg;
    else if (c == 'c') opt.connections = atoi(optarg);
    else if (c == 's') opt.streams = atoi(optarg);
    else if (c == 'S') opt.pid = atoi(optarg);
    else if (c == 'i') opt.interval = atof(optarg);
    else return 2;
  }
  epoll = epoll_create1(0);
  for (int i = 0; i < opt.streams; i++) begin(true);
  for (double settled = now() + 1; now() < settled;) turn(0);
  double cpu = process_cpu(opt.pid), seconds = connect_all(now());
  cpu = process_cpu(opt.pid) - cpu;
  printf("{\"conns\":%d,\"answered\":%d,\"seconds\":%.4f,\"us_per_connection\":%.2f,\"cpu_us_per_"
         "connection\":%.2f,"
         "\"stream_reads\":%ld,\"worst_gap_ms\":%.1f,\"late\":%ld}\n",
         opt.connections, seen.answered, seconds, seconds * 1e6 / opt.connections,
         cpu * 1e6 / opt.connections, seen.reads, seen.worst * 1e3, seen.late);
  return 0;
}
