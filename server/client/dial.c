// SPDX-License-Identifier: MIT
// The socket is the dial's while it is being connected: it is watched for writing, which the kernel reports
// for a failure as well.
#include "client/dial.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void dial_next(struct dial *d);

static void dial_fail(struct dial *d, int error) {
  snprintf(d->why, sizeof d->why, "%s", strerror(error));
  dial_next(d);
}

static void dial_done(struct dial *d, int fd) {
  d->at = d->found.count = 0;
  d->on_done(d, fd);
}

static void dial_on_ready(struct watch *w, unsigned events) {
  struct dial *d = container_of(w, struct dial, watch);
  int fd = watch_fd(w), error = 0;
  socklen_t len = sizeof error;
  (void)events;
  watch_stop(w);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) error = errno;
  if (!error) {
    dial_done(d, fd);
    return;
  }
  close(fd);
  dial_fail(d, error);
}

static void dial_connect(struct dial *d, const void *address, socklen_t len) {
  int family = ((const struct sockaddr *)address)->sa_family;
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    dial_fail(d, errno);
    return;
  }
  if (family != AF_UNIX) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  if (connect(fd, address, len) == 0 || errno == EINPROGRESS) {
    d->watch.on_ready = dial_on_ready;
    watch_start(&d->watch, d->loop, fd, WATCH_WRITE);
    return;
  }
  int error = errno;
  close(fd);
  dial_fail(d, error == EAGAIN ? ECONNREFUSED : error); // EAGAIN: a queue of a UNIX socket that is full
}

static void dial_connect_ip(struct dial *d, const struct address *a) {
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)d->port)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)d->port)};
  memcpy(&v4.sin_addr, a->bytes + 12, sizeof v4.sin_addr);
  memcpy(&v6.sin6_addr, a->bytes, sizeof v6.sin6_addr);
  if (a->family == ADDRESS_V4) dial_connect(d, &v4, sizeof v4);
  else dial_connect(d, &v6, sizeof v6);
}

static void dial_next(struct dial *d) {
  if (d->at == d->found.count) dial_done(d, -1);
  else dial_connect_ip(d, &d->found.addresses[d->at++]);
}

static void dial_on_found(struct lookup *l, const struct resolved *found) {
  struct dial *d = container_of(l, struct dial, lookup);
  d->found = *found, d->at = 0;
  snprintf(d->why, sizeof d->why, "%s", found->why);
  dial_next(d);
}

static void dial_prepare(struct dial *d) {
  list_init(&d->lookup.link);
  d->lookup.on_found = dial_on_found;
  d->found.count = d->at = 0;
}

void dial_start(struct dial *d, const char *host, unsigned port) {
  struct resolved one = {.count = 1};
  dial_prepare(d);
  d->port = port;
  if (address_parse(span_of(host), &one.addresses[0])) {
    dial_on_found(&d->lookup, &one);
    return;
  }
  const struct resolved nothing = {.why = "names cannot be looked up here"};
  const struct resolved *found = d->resolver ? resolver_find(d->resolver, host, &d->lookup) : &nothing;
  if (found) dial_on_found(&d->lookup, found);
}

void dial_start_unix(struct dial *d, const char *path) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  dial_prepare(d);
  snprintf(d->why, sizeof d->why, "the path of its socket is too long");
  if (strlen(path) >= sizeof a.sun_path) {
    dial_next(d);
    return;
  }
  strcpy(a.sun_path, path);
  dial_connect(d, &a, sizeof a);
}

void dial_stop(struct dial *d) {
  if (!d->lookup.on_found) return;
  lookup_leave(&d->lookup);
  if (!d->watch.loop) return;
  int fd = watch_fd(&d->watch);
  watch_stop(&d->watch);
  close(fd);
}
