// SPDX-License-Identifier: MIT
// tls: a client of many connections by TLS on loopback. One line of JSON.
//
//   tls idle -p PORT -g PATH -c STREAMS -P PID     resident memory of PID for each stream that has had its
//   head tls storm -p PORT -g PATH -c STREAMS -s SHAKES -d SECONDS
//                 the gaps between events of the streams, while from the middle on so many others shake hands
//
// The storm is another process of the lowest priority, so that it does not hold up who measures.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "usage.h"

enum { BATCH = 256, MAX = 18000, BINS = 20000 };
static const double BIN = 0.0001;

static SSL *by_fd[MAX];
static double last[MAX];
static unsigned long bins[BINS];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int connect_to(int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || fd >= MAX || connect(fd, (void *)&a, sizeof a) < 0) {
    perror("connect");
    exit(1);
  }
  return fd;
}

static SSL *begin(SSL_CTX *c, int fd) {
  SSL *ssl = SSL_new(c);
  SSL_set_fd(ssl, fd);
  SSL_set_connect_state(ssl);
  by_fd[fd] = ssl;
  return ssl;
}

static int open_stream(SSL_CTX *c, int port, const char *path) {
  char request[512], head[4096];
  int fd = connect_to(port),
      len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
  SSL *ssl = begin(c, fd);
  if (SSL_do_handshake(ssl) != 1 || SSL_write(ssl, request, len) != len ||
      SSL_read(ssl, head, sizeof head) <= 0) {
    ERR_print_errors_fp(stderr);
    exit(1);
  }
  return fd;
}

static int idle(SSL_CTX *c, int port, const char *path, int streams, pid_t pid) {
  double before, after;
  open_stream(c, port, path); // what comes with the first is no stream's
  read_kb(pid, "status", "VmRSS: %lf", &before);
  for (int i = 0; i < streams; i++) open_stream(c, port, path);
  sleep(1);
  read_kb(pid, "status", "VmRSS: %lf", &after);
  printf("{\"streams\":%d,\"kb_per_stream\":%.2f}\n", streams, (after - before) / streams);
  return 0;
}

// Goes on with a handshake; 1 where it is done, -1 where it has failed.
static int shake(SSL *ssl) {
  int n = SSL_do_handshake(ssl);
  if (n == 1) return 1;
  int error = SSL_get_error(ssl, n);
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void storm(SSL_CTX *c, int port, int shakes, int to) {
  int epoll = epoll_create1(0), done = 0, failed = 0;
  double began = now();
  struct sched_param lowest = {.sched_priority = sched_getscheduler(0) == SCHED_FIFO}; // below `chrt -f 2`
  sched_setparam(0, &lowest);
  if (nice(19) < 0) exit(1);
  for (int i = 0; i < shakes; i++) {
    int fd = connect_to(port);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
    shake(begin(c, fd));
  }
  while (done + failed < shakes && now() < began + 60) {
    struct epoll_event list[BATCH];
    int n = epoll_wait(epoll, list, BATCH, 1000);
    for (int i = 0; i < n; i++) {
      int fd = list[i].data.fd, how = shake(by_fd[fd]);
      done += how > 0, failed += how < 0;
      if (how) epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
    }
  }
  dprintf(to, "{\"shakes\":%d,\"failed\":%d,\"seconds\":%.2f}", done, shakes - done, now() - began);
  _exit(0);
}

static void count_gap(int fd, double at) {
  if (last[fd] > 0) {
    unsigned long bin = (unsigned long)((at - last[fd]) / BIN);
    bins[bin < BINS ? bin : BINS - 1]++;
  }
  last[fd] = at;
}

static double quantile(double of) {
  unsigned long all = 0, sum = 0;
  int i = 0;
  for (int b = 0; b < BINS; b++) all += bins[b];
  while (i < BINS && (sum += bins[i]) < (unsigned long)(of * (double)all)) i++;
  return i * BIN;
}

static void read_events(int epoll, double until) {
  char piece[4096];
  for (double at = now(); at < until; at = now()) {
    struct epoll_event list[BATCH];
    int n = epoll_wait(epoll, list, BATCH, 100);
    for (int i = 0; i < n; i++) {
      int fd = list[i].data.fd;
      if (SSL_read(by_fd[fd], piece, sizeof piece) > 0) count_gap(fd, now());
      else exit(1);
    }
  }
}

static int beside(SSL_CTX *c, int port, const char *path, int streams, int shakes, double seconds) {
  int epoll = epoll_create1(0), pipes[2];
  char of_storm[256] = "";
  for (int i = 0; i < streams; i++) {
    int fd = open_stream(c, port, path);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
  }
  read_events(epoll, now() + 1);
  memset(bins, 0, sizeof bins);
  read_events(epoll, now() + seconds);
  double quiet = quantile(0.99), quiet_worst = quantile(1);
  memset(bins, 0, sizeof bins);
  if (pipe(pipes) < 0) return 1;
  pid_t child = fork();
  if (!child) storm(c, port, shakes, pipes[1]);
  read_events(epoll, now() + seconds);
  waitpid(child, NULL, 0);
  if (read(pipes[0], of_storm, sizeof of_storm - 1) < 0) return 1;
  printf(
      "{\"streams\":%d,\"p99_before\":%.4f,\"worst_before\":%.4f,\"p99\":%.4f,\"worst\":%.4f,\"storm\":%s}\n",
      streams, quiet, quiet_worst, quantile(0.99), quantile(1), of_storm);
  return 0;
}

int main(int argc, char **argv) {
  int port = 0, streams = 1000, shakes = 2000;
  double seconds = 3;
  pid_t pid = 0;
  const char *path = "/", *what = argc > 1 ? argv[1] : "";
  SSL_CTX *c = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
  optind = 2;
  for (int o; (o = getopt(argc, argv, "p:g:c:s:d:P:")) != -1;) {
    if (o == 'p') port = atoi(optarg);
    else if (o == 'g') path = optarg;
    else if (o == 'c') streams = atoi(optarg);
    else if (o == 's') shakes = atoi(optarg);
    else if (o == 'd') seconds = atof(optarg);
    else if (o == 'P') pid = atoi(optarg);
    else return 2;
  }
  if (!strcmp(what, "idle")) return idle(c, port, path, streams, pid);
  if (!strcmp(what, "storm")) return beside(c, port, path, streams, shakes, seconds);
  fprintf(stderr, "usage: tls idle|storm -p PORT ...\n");
  return 2;
}
