// SPDX-License-Identifier: MIT
#include "loop/signals.h"
#include <sys/signalfd.h>
#include <unistd.h>

static void on_readable(struct readable *r) {
  struct signals *s = container_of(r, struct signals, readable);
  struct signalfd_siginfo info;
  if (read(readable_fd(r), &info, sizeof info) == sizeof info) s->on_signal(s, (int)info.ssi_signo);
}

int signals_start(struct signals *s, struct loop *loop, const sigset_t *set) {
  int fd = signalfd(-1, set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (fd < 0) return -1;
  s->readable.on_readable = on_readable;
  readable_start(&s->readable, loop, fd);
  return 0;
}

void signals_stop(struct signals *s) {
  if (!s->readable.loop) return;
  int fd = readable_fd(&s->readable);
  readable_stop(&s->readable);
  close(fd);
}
