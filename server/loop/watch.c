// SPDX-License-Identifier: MIT
// One ev_io for each, and one answer to a kernel that has no memory or no room for one more. libev stops what
// is refused and would be refused again in each turn, so a timer takes the idle ev_io's place: its descriptor
// is tried and offered again now and then, and works, if slowly. What was asked for is kept outside of libev,
// so that asking for the same costs a comparison. Thousands may be ready at once, as when a proxy goes: each
// turn tells some of them, so that what is due meanwhile waits for one turn and not for all.
#include "loop/watch.h"
#include <ev.h>

static const double RETRY_SECONDS = 0.1;

_Static_assert(sizeof(struct ev_io) <= WATCH_IO_LEN && _Alignof(struct ev_io) <= _Alignof(uint64_t),
               "an ev_io fits into a watch");
_Static_assert(sizeof(struct timer) <= WATCH_IO_LEN && _Alignof(struct timer) <= _Alignof(uint64_t),
               "a timer fits into its place");
_Static_assert((int)WATCH_READ == EV_READ && (int)WATCH_WRITE == EV_WRITE, "events have libev's numbers");

static struct ev_io *io_of(struct watch *w) { return (void *)w->io; }

static struct timer *retry_of(struct watch *w) { return (void *)w->io; }

static void on_io(struct ev_loop *ev, struct ev_io *io, int events);

static void init_io(struct watch *w) { ev_io_init(io_of(w), on_io, w->fd, w->events); }

static void on_retry(struct timer *t) {
  struct watch *w = container_of(t, struct watch, io);
  w->is_refused = false;
  init_io(w);
  ev_io_start(w->loop->ev, io_of(w));
}

// The kernel tells of all in the same order each time, so those that had their turn give way.
static bool is_passed_over(struct watch *w) {
  struct loop *l = w->loop;
  if (l->is_crowded && w->round == l->round) return true;
  l->passes_over |= l->told == l->told_max;
  if (l->told == l->told_max) return true;
  l->told++, w->round = l->round;
  return false;
}

static void on_io(struct ev_loop *ev, struct ev_io *io, int events) {
  (void)ev;
  struct watch *w = container_of(io, struct watch, io);
  if (events & EV_ERROR) {
    w->is_refused = true, events = w->events;
    *retry_of(w) = (struct timer){.on_fire = on_retry};
    loop_arm(w->loop, retry_of(w), w->loop->now + RETRY_SECONDS);
  } else if (is_passed_over(w)) return; // the kernel says so again
  w->on_ready(w, (unsigned)events & (WATCH_READ | WATCH_WRITE));
}

void watch_start(struct watch *w, struct loop *loop, int fd, unsigned events) {
  w->loop = loop, w->fd = fd, w->events = 0, w->is_refused = false;
  init_io(w);
  watch_set(w, events);
}

static void leave_retry(struct watch *w) {
  loop_disarm(w->loop, retry_of(w));
  w->is_refused = false;
  init_io(w);
}

void watch_change(struct watch *w, unsigned events) {
  w->events = (uint8_t)events;
  if (w->is_refused && events) return;
  if (w->is_refused) leave_retry(w);
  ev_io_stop(w->loop->ev, io_of(w));
  ev_io_modify(io_of(w), (int)events);
  if (events) ev_io_start(w->loop->ev, io_of(w));
}

void watch_stop(struct watch *w) {
  if (w->loop) watch_set(w, 0);
  w->loop = NULL;
}
