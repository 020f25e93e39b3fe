// SPDX-License-Identifier: MIT
// A signalfd: what a signal begins runs between two turns of the loop, where anything may be called.
#include "loop/signals.h"
#include <sys/signalfd.h>
#include <unistd.h>

static void on_ready(struct watch *w, unsigned events) {
  (void)events;
  struct signals *s = container_of(w, struct signals, watch);
  struct signalfd_siginfo info;
  if (read(watch_fd(w), &info, sizeof info) == sizeof info) s->on_signal(s, (int)info.ssi_signo);
}

int signals_start(struct signals *s, struct loop *loop, const sigset_t *set) {
  int fd = signalfd(-1, set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (fd < 0) return -1;
  s->watch.on_ready = on_ready;
  watch_start(&s->watch, loop, fd, WATCH_READ);
  return 0;
}

void signals_stop(struct signals *s) {
  if (!s->watch.loop) return;
  int fd = watch_fd(&s->watch);
  watch_stop(&s->watch);
  close(fd);
}
