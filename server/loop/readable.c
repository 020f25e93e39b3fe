// SPDX-License-Identifier: MIT
#include "loop/readable.h"

static void on_ready(struct ev_loop *ev, struct ev_io *w, int events) {
  if (events & EV_ERROR) { // libev has stopped it, for lack of memory in the kernel
    ev_io_start(ev, w);
    return;
  }
  struct readable *r = container_of(w, struct readable, io);
  r->on_readable(r);
}

void readable_start(struct readable *r, struct loop *loop, int fd) {
  r->loop = loop;
  ev_io_init(&r->io, on_ready, fd, EV_READ);
  ev_io_start(loop->ev, &r->io);
}

void readable_stop(struct readable *r) {
  if (r->loop) ev_io_stop(r->loop->ev, &r->io);
  r->loop = NULL;
}
