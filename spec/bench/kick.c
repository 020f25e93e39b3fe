// SPDX-License-Identifier: MIT
// kick: how long it takes until event streams that are ended from elsewhere have their end. Opens streams,
// has the server end them by one POST, and prints one line of JSON: when the last client had the last chunk,
// and when the server had closed all connections, counted from the POST, and the CPU time of the server for
// both.
//
//   kick -p PORT [-p PORT] -g PATH -P KICK_PATH -c STREAMS [-S PID] [-w SETTLE_SECONDS] [-k] [-u]
//
// Of two servers, which are given so many streams each, the first is asked; then `here_ms` is when the last
// client of that one had its end, and `said_ms` when the last of both.
// A client closes its side once it has the end of its stream; with -k it stays connected, for its next
// request. With -u the POST publishes an event instead, and the streams stay.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "usage.h"

enum { BATCH = 512, FDS_MAX = 70000, PATIENCE = 30, PORTS_MAX = 2 };

static struct {
  const char *path, *kick_path;
  int ports[PORTS_MAX], port_count, streams; // of all servers
  pid_t pid;
  double settle;
  bool keeps, publishes;
} opt = {.path = "/", .kick_path = "/kick", .settle = 0.5};

static int epoll, begun, ended, gone;
static bool has_begun[FDS_MAX], has_ended[FDS_MAX], is_here[FDS_MAX];
static double last_end, last_here;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what) {
  fprintf(stderr, "kick: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int ask(int port, const char *method, const char *path) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  char request[512];
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || fd >= FDS_MAX || connect(fd, (void *)&a, sizeof a) < 0) die("connect");
  int len = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: kick\r\nContent-Length: 0\r\n\r\n",
                     method, path);
  if (send(fd, request, (size_t)len, MSG_NOSIGNAL) != len) die("send");
  return fd;
}

static void open_stream(int at) {
  int fd = ask(opt.ports[at], "GET", opt.path);
  is_here[fd] = !at;
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
}

static void on_readable(int fd) {
  char bytes[4096];
  ssize_t n = read(fd, bytes, sizeof bytes);
  if (n <= 0) {
    if (!has_ended[fd]) die("a stream was cut");
    close(fd), gone++;
    return;
  }
  if (!has_begun[fd]) {
    has_begun[fd] = true, begun++;
    return;
  }
  bool is_end = opt.publishes || (n >= 5 && !memcmp(bytes + n - 5, "0\r\n\r\n", 5));
  if (has_ended[fd] || !is_end) return;
  has_ended[fd] = true, ended++, last_end = now();
  if (is_here[fd]) last_here = last_end;
  if (!opt.keeps) shutdown(fd, SHUT_WR);
}

static void turn(void) {
  struct epoll_event events[BATCH];
  int n = epoll_wait(epoll, events, BATCH, 100);
  for (int i = 0; i < n; i++) on_readable(events[i].data.fd);
}

static void await(const int *count) {
  for (double end = now() + PATIENCE; *count < opt.streams; turn())
    if (now() > end) die("not all came so far");
}

int main(int argc, char **argv) {
  for (int c; (c = getopt(argc, argv, "p:g:P:c:S:w:ku")) != -1;) {
    if (c == 'p' && opt.port_count < PORTS_MAX) opt.ports[opt.port_count++] = atoi(optarg);
    else if (c == 'g') opt.path = optarg;
    else if (c == 'P') opt.kick_path = optarg;
    else if (c == 'c') opt.streams = atoi(optarg);
    else if (c == 'S') opt.pid = atoi(optarg);
    else if (c == 'w') opt.settle = atof(optarg);
    else if (c == 'k') opt.keeps = true;
    else if (c == 'u') opt.publishes = opt.keeps = true;
    else return 2;
  }
  epoll = epoll_create1(0);
  opt.streams *= opt.port_count;
  for (int i = 0; i < opt.streams; i++) open_stream(i % opt.port_count);
  await(&begun);
  usleep((useconds_t)(opt.settle * 1e6));
  double cpu = opt.pid ? usage_of(&opt.pid, 1).cpu_seconds : 0, from = now();
  int kick = ask(opt.ports[0], "POST", opt.kick_path);
  await(&ended);
  double said = opt.pid ? usage_of(&opt.pid, 1).cpu_seconds - cpu : 0;
  if (!opt.keeps) await(&gone);
  double over = now() - from, all = opt.pid ? usage_of(&opt.pid, 1).cpu_seconds - cpu : 0;
  close(kick);
  printf("{\"streams\":%d,\"here_ms\":%.1f,\"said_ms\":%.1f,\"over_ms\":%.1f,\"said_cpu_ms\":%.1f,"
         "\"over_cpu_ms\":%.1f}\n",
         opt.streams, (last_here - from) * 1e3, (last_end - from) * 1e3, over * 1e3, said * 1e3, all * 1e3);
  return 0;
}
