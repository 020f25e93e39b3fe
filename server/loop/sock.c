// SPDX-License-Identifier: MIT
// Everything that knows a socket address. A listener takes a bounded number of connections per wake-up, so
// that a flood of them leaves the streams their turn; where descriptors have run out it pauses instead of
// spinning.
#include "loop/sock.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/digits.h"
#include "base/log.h"

enum {
  BACKLOG = 4096, // of connections not accepted yet; the kernel's net.core.somaxconn goes first
  ACCEPTS_PER_TURN = 64,
  KEEP_IDLE = 30, // seconds
  KEEP_INTERVAL = 10,
  KEEP_COUNT = 3
};
static const double PAUSE_SECONDS = 0.1, LOG_EVERY = 1;

static int fail(char error[SOCK_ERROR_MAX], int fd, const char *address, const char *what) {
  int cause = errno;
  snprintf(error, SOCK_ERROR_MAX, "cannot listen on %s: %s", address, what ? what : strerror(cause));
  if (fd >= 0) close(fd);
  errno = cause;
  return -1;
}

static int fail_address(char error[SOCK_ERROR_MAX], const char *address, const char *what) {
  errno = EINVAL;
  return fail(error, -1, address, what);
}

static int open_socket(int family) { return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

static int listen_inherited(const char *address, char error[SOCK_ERROR_MAX]) {
  char *end;
  long fd = strtol(address + 3, &end, 10);
  if (end == address + 3 || *end || fd < 0 || fd > 1 << 20)
    return fail_address(error, address, "expected fd:N with the number of an open socket");
  int listening;
  socklen_t len = sizeof listening;
  if (getsockopt((int)fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0)
    return fail(error, -1, address, NULL);
  if (!listening && listen((int)fd, BACKLOG) < 0) return fail(error, -1, address, NULL);
  int own_fd = fcntl((int)fd, F_DUPFD_CLOEXEC, 3);
  if (own_fd < 0 || fcntl(own_fd, F_SETFL, fcntl(own_fd, F_GETFL) | O_NONBLOCK) < 0)
    return fail(error, own_fd, address, NULL);
  return own_fd;
}

// A socket file whose server is gone is in the way of the next one; one that still answers is not ours to
// take.
static bool is_stale_socket(const struct sockaddr_un *a) {
  struct stat st;
  if (stat(a->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) return false;
  int fd = open_socket(AF_UNIX);
  bool refused = fd >= 0 && connect(fd, (const void *)a, sizeof *a) && errno == ECONNREFUSED;
  if (fd >= 0) close(fd);
  return refused;
}

static int listen_unix(const char *address, char error[SOCK_ERROR_MAX]) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  const char *path = address + 5;
  if (!*path || strlen(path) >= sizeof a.sun_path)
    return fail_address(error, address, "expected unix:PATH with a path of 1 to 107 bytes");
  snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
  int fd = open_socket(AF_UNIX);
  if (fd < 0) return fail(error, fd, address, NULL);
  if (is_stale_socket(&a)) unlink(path);
  if (bind(fd, (void *)&a, sizeof a) < 0 || listen(fd, BACKLOG) < 0) return fail(error, fd, address, NULL);
  return fd;
}

static int listen_at(const struct addrinfo *ai, const char *address, bool share, char error[SOCK_ERROR_MAX]) {
  int yes = true, fd = open_socket(ai->ai_family);
  if (fd < 0) return fail(error, fd, address, NULL);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); // accepted sockets inherit it
  if (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes) < 0)
    return fail(error, fd, address, NULL);
  if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
    return fail(error, fd, address, NULL);
  return fd;
}

static bool is_port(const char *text) {
  uint64_t port;
  return decimal_read(span_of(text), 65535, &port);
}

static int listen_tcp(const char *address, bool share, char error[SOCK_ERROR_MAX]) {
  char host[256];
  const char *colon = strrchr(address, ':');
  size_t len = colon ? (size_t)(colon - address) : 0;
  if (!colon || !is_port(colon + 1) || len >= sizeof host)
    return fail_address(
        error, address,
        "expected HOST:PORT such as 127.0.0.1:8080 (ports go to 65535), unix:PATH, fd:N or systemd:NAME");
  snprintf(host, sizeof host, "%.*s", (int)len, address);
  char *name = host;
  if (*name == '[' && name[len - 1] == ']') name[len - 1] = 0, name++;
  struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
  int code = getaddrinfo(*name ? name : "0.0.0.0", colon + 1, &hints, &found);
  if (code) return fail_address(error, address, gai_strerror(code));
  int fd = listen_at(found, address, share, error);
  freeaddrinfo(found);
  return fd;
}

int sock_listen(const char *address, bool share, char error[SOCK_ERROR_MAX]) {
  if (!strncmp(address, "fd:", 3)) return listen_inherited(address, error);
  if (!strncmp(address, "unix:", 5)) return listen_unix(address, error);
  return listen_tcp(address, share, error);
}

struct address sock_address(const struct sockaddr *a) {
  const void *bytes = a;
  if (a->sa_family == AF_INET) return address_of_bytes(&((const struct sockaddr_in *)bytes)->sin_addr, 4);
  if (a->sa_family == AF_INET6) return address_of_bytes(&((const struct sockaddr_in6 *)bytes)->sin6_addr, 16);
  return (struct address){.family = a->sa_family == AF_UNIX ? ADDRESS_UNIX : ADDRESS_NONE};
}

void sock_name(int fd, char out[SOCK_NAME_MAX]) {
  struct sockaddr_storage a = {.ss_family = AF_UNSPEC}; // and stays that of what is no socket
  socklen_t len = sizeof a;
  char ip[ADDRESS_TEXT_MAX];
  out[0] = 0;
  getsockname(fd, (void *)&a, &len);
  if (a.ss_family == AF_UNIX) snprintf(out, SOCK_NAME_MAX, "unix:%s", ((struct sockaddr_un *)&a)->sun_path);
  if (a.ss_family != AF_INET && a.ss_family != AF_INET6) return;
  struct address address = sock_address((const void *)&a);
  address_text(&address, ip);
  int port = ntohs(a.ss_family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port
                                          : ((struct sockaddr_in6 *)&a)->sin6_port);
  snprintf(out, SOCK_NAME_MAX, a.ss_family == AF_INET ? "%s:%d" : "[%s]:%d", ip, port);
}

struct address sock_peer(int fd) {
  struct sockaddr_storage a = {.ss_family = AF_UNSPEC};
  socklen_t len = sizeof a;
  getpeername(fd, (void *)&a, &len);
  return sock_address((const void *)&a);
}

size_t sock_descriptors_max(void) {
  struct rlimit r;
  return getrlimit(RLIMIT_NOFILE, &r) < 0 ? 1024 : (size_t)r.rlim_cur; // which Linux has a limit for, too
}

// A peer that is gone while nothing is sent shows after KEEP_IDLE and a few probes: without them it would be
// a connection for ever. What a listening socket passes on would miss those that came before it was set.
void sock_set_send_timeout(int fd, double seconds) {
  int on = true, idle = KEEP_IDLE, interval = KEEP_INTERVAL, count = KEEP_COUNT;
  unsigned ms = (unsigned)MIN(seconds * 1e3, 1e9);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

// Whether it failed because a client has left before it was accepted, or a signal came: the next is
// another's.
static bool is_over(int error) { return error == ECONNABORTED || error == EINTR || error == EPROTO; }

static int accept_one(int listening) { return accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }

static void open_spare(struct listener *l) { l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC); }

// Who waits is told rather than left to wait: each in turn gets the spare descriptor.
static void turn_away(struct listener *l) {
  for (int i = 0; i < ACCEPTS_PER_TURN && l->spare_fd >= 0; i++) {
    close(l->spare_fd);
    int fd = accept_one(watch_fd(&l->watch));
    if (fd >= 0) l->on_full(l, fd);
    open_spare(l);
    if (fd < 0) return;
  }
}

static void rest(struct listener *l) {
  struct loop *loop = l->watch.loop;
  watch_set(&l->watch, 0);
  loop_arm(loop, &l->pause, loop->now + PAUSE_SECONDS);
}

// The kernel would report the same connection again and again, so the listener rests.
static void pause_listener(struct listener *l) {
  double now = l->watch.loop->now;
  if (now - l->logged_at >= LOG_EVERY) {
    l->logged_at = now;
    log_message(LOG_WARN, "no descriptor for a new connection: raise `ulimit -n`");
  }
  turn_away(l);
  rest(l);
}

static void on_pause_over(struct timer *t) {
  struct listener *l = container_of(t, struct listener, pause);
  if (l->spare_fd < 0) open_spare(l);
  watch_set(&l->watch, WATCH_READ);
}

static void on_connection(struct watch *w, unsigned events) {
  (void)events;
  struct listener *l = container_of(w, struct listener, watch);
  for (int i = 0; i < ACCEPTS_PER_TURN && w->events; i++) {
    int fd = accept_one(watch_fd(w));
    if (fd >= 0) l->on_accept(l, fd);
    else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) pause_listener(l);
    else if (errno == EAGAIN) return;
    else if (!is_over(errno)) rest(l);
  }
}

void listener_start(struct listener *l, struct loop *loop, int fd) {
  l->watch.on_ready = on_connection;
  l->pause = (struct timer){.on_fire = on_pause_over};
  l->logged_at = -LOG_EVERY;
  open_spare(l);
  watch_start(&l->watch, loop, fd, WATCH_READ);
}

void listener_empty(struct listener *l) {
  for (int i = 0; i < BACKLOG; i++) {
    int fd = accept_one(watch_fd(&l->watch));
    if (fd >= 0) l->on_accept(l, fd);
    else if (!is_over(errno)) return;
  }
}

void listener_stop(struct listener *l) {
  loop_disarm(l->watch.loop, &l->pause);
  watch_stop(&l->watch);
  if (l->spare_fd >= 0) close(l->spare_fd);
}
