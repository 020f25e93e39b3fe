// SPDX-License-Identifier: MIT
// One ev_io for each, and one answer to the kernel's lack of memory: libev stops what it cannot register, and
// it is started again. What was asked for is kept outside of libev, so that asking for the same costs a
// comparison.
#include "loop/watch.h"
#include <ev.h>

_Static_assert(sizeof(struct ev_io) <= WATCH_IO_LEN && _Alignof(struct ev_io) <= _Alignof(void *),
               "an ev_io fits into a watch");
_Static_assert((int)WATCH_READ == EV_READ && (int)WATCH_WRITE == EV_WRITE, "events have libev's numbers");

static struct ev_io *io_of(struct watch *w) { return (void *)w->io; }

static void on_io(struct ev_loop *ev, struct ev_io *io, int events) {
  struct watch *w = container_of(io, struct watch, io);
  if (events & EV_ERROR) ev_io_start(ev, io);
  else w->on_ready(w, (unsigned)events & (WATCH_READ | WATCH_WRITE));
}

void watch_start(struct watch *w, struct loop *loop, int fd, unsigned events) {
  w->loop = loop, w->fd = fd, w->events = 0;
  ev_io_init(io_of(w), on_io, fd, 0);
  watch_set(w, events);
}

void watch_change(struct watch *w, unsigned events) {
  ev_io_stop(w->loop->ev, io_of(w));
  ev_io_modify(io_of(w), (int)events);
  if (events) ev_io_start(w->loop->ev, io_of(w));
  w->events = events;
}

void watch_stop(struct watch *w) {
  if (w->loop) watch_set(w, 0);
  w->loop = NULL;
}
