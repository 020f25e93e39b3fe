// SPDX-License-Identifier: MIT
// A peer that is gone without a word is found by the kernel's own keep-alive.
#include "client/plain_socket.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { KEEP_ALIVE_SECONDS = 60 };

static int connect_unix(int fd, const char *path) {
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof un.sun_path) return errno = ENAMETOOLONG, -1;
  memcpy(un.sun_path, path, strlen(path));
  return connect(fd, (struct sockaddr *)&un, sizeof un);
}

static int connect_v4(int fd, const struct address *to, unsigned port) {
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  memcpy(&v4.sin_addr, to->bytes + 12, 4);
  return connect(fd, (struct sockaddr *)&v4, sizeof v4);
}

static int connect_v6(int fd, const struct address *to, unsigned port) {
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
  memcpy(&v6.sin6_addr, to->bytes, 16);
  return connect(fd, (struct sockaddr *)&v6, sizeof v6);
}

static void set_options(int fd) {
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){KEEP_ALIVE_SECONDS}, sizeof(int));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &(int){KEEP_ALIVE_SECONDS}, sizeof(int));
}

int plain_socket(const struct address *to, unsigned port, const char *path) {
  bool is_local = to->family == ADDRESS_UNIX, is_v4 = to->family == ADDRESS_V4;
  int fd = socket(is_local ? AF_UNIX
                  : is_v4  ? AF_INET
                           : AF_INET6,
                  SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (!is_local) set_options(fd);
  int failed = is_local ? connect_unix(fd, path)
               : is_v4  ? connect_v4(fd, to, port)
                        : connect_v6(fd, to, port);
  if (failed == 0 || errno == EINPROGRESS) return fd;
  int error = errno;
  close(fd);
  return errno = error, -1;
}
