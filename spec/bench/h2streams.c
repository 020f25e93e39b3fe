// SPDX-License-Identifier: MIT
// h2streams: opens event streams over HTTP/2, many on a connection, and reads them until its input ends. It
// prints "ready" once all heads have come, and at the end how many bytes of data came, and in how many
// frames.
//
//   h2streams PORT PATH CONNECTIONS STREAMS_PER_CONNECTION
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WINDOW = 1 << 30, READ_MAX = 1 << 18, EVENTS_MAX = 64 };

struct connection {
  int fd;
  nghttp2_session *session;
};

static uint64_t bytes, frames, heads;

static void die(const char *what) {
  fprintf(stderr, "h2streams: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int on_chunk(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
                    void *user) {
  (void)s, (void)flags, (void)id, (void)data, (void)user;
  bytes += len;
  return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *user) {
  (void)s, (void)user;
  heads += frame->hd.type == NGHTTP2_HEADERS;
  frames += frame->hd.type == NGHTTP2_DATA;
  return 0;
}

static void flush(struct connection *c) {
  const uint8_t *data;
  ssize_t n;
  while ((n = nghttp2_session_mem_send(c->session, &data)) > 0)
    for (ssize_t sent = 0, k; sent < n; sent += k)
      if ((k = send(c->fd, data + sent, (size_t)(n - sent), MSG_NOSIGNAL)) <= 0) die("send");
}

static void ask(struct connection *c, const char *path) {
  nghttp2_nv fields[] = {{(uint8_t *)":method", (uint8_t *)"GET", 7, 3, 0},
                         {(uint8_t *)":scheme", (uint8_t *)"http", 7, 4, 0},
                         {(uint8_t *)":authority", (uint8_t *)"127.0.0.1", 10, 9, 0},
                         {(uint8_t *)":path", (uint8_t *)path, 5, strlen(path), 0}};
  nghttp2_submit_request(c->session, NULL, fields, 4, NULL, NULL);
}

static void open_connection(struct connection *c, int port, const char *path, int streams) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  nghttp2_session_callbacks *callbacks;
  nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
                                       {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to)) die("connect");
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_client_new(&c->session, callbacks, c);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, 2);
  nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, WINDOW);
  for (int i = 0; i < streams; i++) ask(c, path);
  flush(c);
}

static void read_some(struct connection *c) {
  static uint8_t into[READ_MAX];
  ssize_t n = recv(c->fd, into, sizeof into, 0);
  if (n <= 0) die("the server has ended a connection");
  if (nghttp2_session_mem_recv(c->session, into, (size_t)n) < 0) die("not HTTP/2");
  flush(c);
}

int main(int argc, char **argv) {
  if (argc != 5) return fputs("h2streams PORT PATH CONNECTIONS STREAMS_PER_CONNECTION\n", stderr), 2;
  int count = atoi(argv[3]), streams = atoi(argv[4]), poll = epoll_create1(EPOLL_CLOEXEC), is_ready = 0;
  struct connection *all = calloc((size_t)count, sizeof *all);
  struct epoll_event events[EVENTS_MAX] = {{.events = EPOLLIN}};
  epoll_ctl(poll, EPOLL_CTL_ADD, 0, events);
  for (int i = 0; i < count; i++) {
    open_connection(&all[i], atoi(argv[1]), argv[2], streams);
    epoll_ctl(poll, EPOLL_CTL_ADD, all[i].fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = &all[i]});
  }
  for (;;) {
    int n = epoll_wait(poll, events, EVENTS_MAX, -1);
    for (int i = 0; i < n; i++) {
      if (events[i].data.ptr) read_some(events[i].data.ptr);
      else return printf("%ju bytes in %ju frames\n", (uintmax_t)bytes, (uintmax_t)frames), 0;
    }
    if (!is_ready && heads == (uint64_t)count * (uint64_t)streams)
      is_ready = 1, puts("ready"), fflush(stdout);
  }
}
