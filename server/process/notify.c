// SPDX-License-Identifier: MIT
// A datagram for each message, to a socket at a path or, behind '@', of an abstract name. What cannot be told
// at once is not told: the loop does not wait for systemd. A worker that sleeps is woken, so that its turns
// show that it can be: one that hangs makes none, and after WATCHDOG_USEC systemd ends the process.
#include "process/notify.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/digits.h"
#include "base/mem.h"
#include "process/worker.h"

enum { MESSAGE_MAX = 1024, FEEDS = 3 }; // so often within the time that systemd allows

static bool set_address(struct notify *n, const char *name) {
  size_t len = strlen(name);
  if ((*name != '/' && *name != '@') || len >= sizeof n->to.sun_path) return false;
  n->to = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(n->to.sun_path, name, len);
  if (*name == '@') n->to.sun_path[0] = '\0';
  n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (*name == '/'));
  return true;
}

// Seconds within which the watchdog is to be fed; 0: none is meant for this process.
static double watchdog_seconds(bool is_heir) {
  const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
  uint64_t time, whom;
  if (!usec || !decimal_read(span_of(usec), INT64_MAX, &time)) return 0;
  bool is_other =
      pid && !is_heir && (!decimal_read(span_of(pid), INT32_MAX, &whom) || (pid_t)whom != getpid());
  return is_other ? 0 : (double)time / 1e6;
}

void notify_open(struct notify *n, bool is_heir) {
  const char *name = getenv("NOTIFY_SOCKET");
  *n = (struct notify){.fd = -1};
  if (!name || !set_address(n, name)) return;
  n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  n->period = watchdog_seconds(is_heir) / FEEDS;
}

void notify_say(struct notify *n, const char *format, ...) {
  char text[MESSAGE_MAX];
  va_list args;
  if (n->fd < 0) return;
  va_start(args, format);
  int len = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (len > 0)
    sendto(n->fd, text, MIN((size_t)len, sizeof text - 1), MSG_NOSIGNAL, (void *)&n->to, n->to_len);
}

unsigned long long notify_microseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (unsigned long long)t.tv_sec * 1000000 + (unsigned long long)t.tv_nsec / 1000;
}

static void on_timer(struct timer *t) {
  struct notify *n = container_of(t, struct notify, timer);
  bool all = true;
  for (size_t i = 0; i < n->count; i++) {
    unsigned long turns = worker_turns(n->workers[i]);
    all &= turns != n->seen[i];
    n->seen[i] = turns;
    worker_wake(n->workers[i]);
  }
  if (all) notify_say(n, "WATCHDOG=1");
  loop_arm(n->loop, &n->timer, n->loop->now + n->period);
}

void notify_feed(struct notify *n, struct loop *loop, struct worker **workers, size_t count) {
  if (n->fd < 0 || n->period <= 0) return;
  n->loop = loop, n->workers = workers, n->count = count;
  n->seen = xcalloc(count + 1, sizeof *n->seen);
  n->timer.on_fire = on_timer;
  on_timer(&n->timer);
}

void notify_close(struct notify *n) {
  if (n->loop) loop_disarm(n->loop, &n->timer);
  if (n->fd >= 0) close(n->fd);
  free(n->seen);
  *n = (struct notify){.fd = -1};
}
