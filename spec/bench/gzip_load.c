// SPDX-License-Identifier: MIT
// gzip_load: many readers of one stream, whose bytes are counted; the first of them decodes its own, and
// counts events.
//
//   gzip_load -p PORT -g PATH -c CONNECTIONS -w SECONDS_BEFORE -d SECONDS [-a] [-z]
//
// -a asks for gzip, -z decodes it as well. Says "begin" and "end" around the seconds that count, each on a
// line, and then one line of JSON: what has come in them. Ends with 1 where a connection ended or the first
// is no gzip stream.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum { BATCH = 256, CONNECTIONS_MAX = 20000 };

static struct {
  int port, connections;
  const char *path;
  double before, seconds;
  bool asks, gzip;
} opt = {.port = 8080, .connections = 1000, .path = "/", .before = 5, .seconds = 10};

static int poll_fd, fds[CONNECTIONS_MAX];
static uint64_t bytes, events, text;
static z_stream z;
static enum { IN_HEAD, IN_SIZE, IN_DATA, BEHIND_DATA } state;
static size_t left;
static char last_byte;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void dial(int i) {
  char request[512];
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
  struct sockaddr_in from = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(0x7f000101u + (unsigned)i % 250)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: load\r\n%s\r\n", opt.path,
                     opt.asks ? "Accept-Encoding: gzip\r\n" : "");
  if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) ||
      connect(fd, (struct sockaddr *)&to, sizeof to) || send(fd, request, (size_t)len, 0) != len)
    fail("gzip_load: connect");
  fds[i] = fd;
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = i});
}

// An event ends with an empty line.
static void on_text(const char *p, size_t n) {
  for (size_t i = 0; i < n; i++) {
    events += p[i] == '\n' && last_byte == '\n';
    last_byte = p[i];
  }
  text += n;
}

static void on_data(char *p, size_t n) {
  char out[1 << 16];
  if (!opt.gzip) {
    on_text(p, n);
    return;
  }
  z.next_in = (unsigned char *)p, z.avail_in = (unsigned)n;
  do {
    z.next_out = (unsigned char *)out, z.avail_out = sizeof out;
    int result = inflate(&z, Z_SYNC_FLUSH);
    if (result != Z_OK && result != Z_BUF_ERROR) fail("gzip_load: no gzip stream");
    on_text(out, sizeof out - z.avail_out);
    if (result != Z_OK) break;
  } while (z.avail_in || !z.avail_out);
}

// The first connection's chunks.
static void decode(char *p, size_t n) {
  static int line_ends;
  for (char *end = p + n; p < end; p++) {
    if (state == IN_HEAD) {
      line_ends = *p == '\n' ? line_ends + 1 : *p == '\r' ? line_ends : 0;
      if (line_ends == 2) state = IN_SIZE, left = 0;
    } else if (state == IN_SIZE) {
      if (*p == '\n') state = IN_DATA;
      else if (*p != '\r') left = left * 16 + (size_t)(*p <= '9' ? *p - '0' : (*p | 32) - 'a' + 10);
    } else if (state == IN_DATA) {
      size_t some = left < (size_t)(end - p) ? left : (size_t)(end - p);
      on_data(p, some);
      p += some - 1;
      if (!(left -= some)) state = BEHIND_DATA;
    } else if (*p == '\n') state = IN_SIZE;
  }
}

static void pump(double until) {
  static char buf[1 << 17];
  struct epoll_event ready[BATCH];
  while (now() < until) {
    int count = epoll_wait(poll_fd, ready, BATCH, 5);
    for (int i = 0; i < count; i++) {
      ssize_t n = recv(fds[ready[i].data.fd], buf, sizeof buf, MSG_DONTWAIT);
      if (n == 0 || (n < 0 && errno != EAGAIN)) fail("gzip_load: a stream ended");
      if (n < 0) continue;
      bytes += (uint64_t)n;
      if (ready[i].data.fd == 0) decode(buf, (size_t)n);
    }
  }
}

static void say(const char *word) {
  puts(word);
  fflush(stdout);
}

int main(int argc, char **argv) {
  for (int letter; (letter = getopt(argc, argv, "p:g:c:w:d:az")) != -1;) {
    if (letter == 'p') opt.port = atoi(optarg);
    else if (letter == 'g') opt.path = optarg;
    else if (letter == 'c') opt.connections = atoi(optarg);
    else if (letter == 'w') opt.before = atof(optarg);
    else if (letter == 'd') opt.seconds = atof(optarg);
    else if (letter == 'a') opt.asks = true;
    else if (letter == 'z') opt.asks = opt.gzip = true;
    else return 2;
  }
  poll_fd = epoll_create1(0);
  if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK || opt.connections > CONNECTIONS_MAX) return 2;
  for (int i = 0; i < opt.connections; i++) {
    dial(i);
    if (i % 50 == 49) pump(now() + 0.005);
  }
  pump(now() + opt.before);
  bytes = events = text = 0;
  double began = now();
  say("begin");
  pump(began + opt.seconds);
  say("end");
  printf("{\"bytes\":%llu,\"events\":%llu,\"text\":%llu,\"seconds\":%.2f}\n", (unsigned long long)bytes,
         (unsigned long long)events, (unsigned long long)text, now() - began);
}
