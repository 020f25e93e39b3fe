// SPDX-License-Identifier: MIT
// curl_ask: what libcurl alone takes to ask for a short answer: its multi handle on epoll, connections that
// are kept, easy handles that are used again as they are, callbacks that do nothing.
//
//   curl_ask URL CONNECTIONS REQUESTS FIELDS
//
// FIELDS: so many fields beside libcurl's own. Fails where a request does.
#define _GNU_SOURCE
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum { BATCH = 64 };

static CURLM *multi;
static int poll_fd;
static long wait_ms = -1;
static long left_to_send, left_to_come;

static size_t drop(char *bytes, size_t one, size_t n, void *arg) {
  (void)bytes, (void)one, (void)arg;
  return n;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known) {
  (void)easy, (void)arg;
  struct epoll_event e = {
      .events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u), .data.fd = fd};
  int how = what == CURL_POLL_REMOVE ? EPOLL_CTL_DEL : known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  epoll_ctl(poll_fd, how, fd, &e);
  curl_multi_assign(multi, fd, how == EPOLL_CTL_DEL ? NULL : multi);
  return 0;
}

static int on_time(CURLM *m, long ms, void *arg) {
  (void)m, (void)arg;
  wait_ms = ms;
  return 0;
}

static void ask(CURL *easy) {
  if (!left_to_send) return;
  left_to_send--;
  curl_multi_add_handle(multi, easy);
}

static void add_handle(const char *url, struct curl_slist *fields) {
  CURL *easy = curl_easy_init();
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, drop);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  if (fields) curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fields);
  ask(easy);
}

static void take_answers(void) {
  int left;
  for (CURLMsg *m; (m = curl_multi_info_read(multi, &left));) {
    CURL *easy = m->easy_handle;
    if (m->data.result) fprintf(stderr, "curl_ask: %s\n", curl_easy_strerror(m->data.result)), exit(1);
    curl_multi_remove_handle(multi, easy);
    left_to_come--;
    ask(easy);
  }
}

static void turn(void) {
  struct epoll_event ready[BATCH];
  int running, n = epoll_wait(poll_fd, ready, BATCH, (int)wait_ms);
  if (wait_ms == 0 || n == 0) wait_ms = -1, curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
  for (int i = 0; i < n; i++) {
    int events = (ready[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                 (ready[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0);
    curl_multi_socket_action(multi, ready[i].data.fd, events, &running);
  }
  take_answers();
}

int main(int argc, char **argv) {
  struct curl_slist *fields = NULL;
  if (argc != 5) {
    fprintf(stderr, "usage: curl_ask URL CONNECTIONS REQUESTS FIELDS\n");
    return 2;
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  multi = curl_multi_init(), poll_fd = epoll_create1(0);
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_time);
  left_to_send = left_to_come = atol(argv[3]);
  for (int i = 0; i < atoi(argv[4]); i++) {
    char line[64];
    snprintf(line, sizeof line, "X-Forwarded-%d: 127.0.0.1", i);
    fields = curl_slist_append(fields, line);
  }
  for (int i = 0; i < atoi(argv[2]); i++) add_handle(argv[1], fields);
  while (left_to_come) turn();
  return 0;
}
