// SPDX-License-Identifier: MIT
// Behind the kernel's queue it is known by its address in memory, which it has sent. It may be gone by then.
#include "harness/door.h"
#include <sys/socket.h>
#include <unistd.h>
#include "harness/server.h"
#include "harness/client.h"
#include "serve/connections.h"

enum { BACKLOG = 4096 };

// Who it is that was accepted, which takes the descriptor; NULL: it has left.
static struct client *let_in(struct harness *h, int fd) {
  struct client *sent = NULL, *found = NULL;
  if (recv(fd, &sent, sizeof sent, 0) != sizeof sent) sent = NULL;
  close(fd);
  list_each (node, &h->clients) {
    struct client *c = container_of(node, struct client, link);
    if (c == sent && c->outside >= 0) found = c;
  }
  if (found) door_turn_back(found);
  return found;
}

static void on_accept(struct listener *l, int fd) {
  struct harness *h = container_of(l, struct harness, door.listener);
  struct client *c = let_in(h, fd);
  if (c) connections_accept(&h->service, c->top);
}

static void on_full(struct listener *l, int fd) {
  struct harness *h = container_of(l, struct harness, door.listener);
  struct client *c = let_in(h, fd);
  if (c) connections_turn_away(&h->service, c->top);
}

int door_open(struct harness *h) {
  struct door *d = &h->door;
  d->address = (struct sockaddr_un){.sun_family = AF_UNIX};
  d->address_len = sizeof d->address;
  d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  // Without a path the kernel finds it a name.
  bool ok = d->fd >= 0 && bind(d->fd, (void *)&d->address, sizeof d->address.sun_family) == 0 &&
            listen(d->fd, BACKLOG) == 0 && getsockname(d->fd, (void *)&d->address, &d->address_len) == 0;
  if (!ok) {
    if (d->fd >= 0) close(d->fd);
    d->fd = -1;
    return -1;
  }
  d->listener = (struct listener){.on_accept = on_accept, .on_full = on_full};
  listener_start(&d->listener, &h->loop, d->fd);
  loop_poll(&h->loop, 0); // before anything is refused: what libev wakes a loop by stays, too
  return 0;
}

void door_close(struct harness *h) {
  if (h->door.fd < 0) return;
  listener_stop(&h->door.listener);
  close(h->door.fd);
  h->door.fd = -1;
  list_each (node, &h->clients) door_turn_back(container_of(node, struct client, link));
}

int door_knock(struct harness *h, struct client *c) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  c->outside = fd;
  bool ok = connect(fd, (void *)&h->door.address, h->door.address_len) == 0 &&
            send(fd, &c, sizeof c, 0) == sizeof c;
  if (!ok) door_turn_back(c);
  return ok ? 0 : -1;
}

void door_turn_back(struct client *c) {
  if (c->outside >= 0) close(c->outside);
  c->outside = -1;
}
