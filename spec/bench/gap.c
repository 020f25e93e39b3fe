// SPDX-License-Identifier: MIT
// gap: opens event streams at a server on loopback and says how evenly their events come: the longest time
// between two reads of one stream, and how many reads were late. One line of JSON.
//
//   gap -p PORT -g PATH -c STREAMS -d SECONDS -i INTERVAL_SECONDS
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256, STREAMS_MAX = 18000 };

static double last[STREAMS_MAX]; // by descriptor

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int open_stream(int port, const char *path) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  char request[512];
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || fd >= STREAMS_MAX || connect(fd, (void *)&a, sizeof a) < 0) {
    perror("connect");
    exit(1);
  }
  int len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: gap\r\n\r\n", path);
  if (write(fd, request, (size_t)len) != len) exit(1);
  return fd;
}

int main(int argc, char **argv) {
  int port = 0, streams = 1000;
  double seconds = 10, interval = 0.1, worst = 0, sum = 0;
  long reads = 0, late = 0, ended = 0;
  const char *path = "/";
  for (int c; (c = getopt(argc, argv, "p:g:c:d:i:")) != -1;) {
    if (c == 'p') port = atoi(optarg);
    else if (c == 'g') path = optarg;
    else if (c == 'c') streams = atoi(optarg);
    else if (c == 'd') seconds = atof(optarg);
    else if (c == 'i') interval = atof(optarg);
    else return 2;
  }
  int epoll = epoll_create1(0);
  for (int i = 0; i < streams; i++) {
    int fd = open_stream(port, path);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
  }
  double begin = now() + 5 * interval, end = begin + seconds; // all have had their first events by then
  while (now() < end) {
    struct epoll_event events[BATCH];
    char bytes[4096];
    int n = epoll_wait(epoll, events, BATCH, 100);
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (read(fd, bytes, sizeof bytes) <= 0) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
        ended++;
        continue;
      }
      double at = now(), gap = at - last[fd];
      if (last[fd] > 0 && at > begin) {
        worst = gap > worst ? gap : worst;
        late += gap > interval + 0.05;
        sum += gap, reads++;
      }
      last[fd] = at;
    }
  }
  printf("{\"streams\":%d,\"reads\":%ld,\"mean\":%.4f,\"worst\":%.4f,\"late\":%ld,\"ended\":%ld}\n", streams,
         reads, reads ? sum / (double)reads : 0, worst, late, ended);
  return 0;
}
