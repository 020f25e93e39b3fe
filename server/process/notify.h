// SPDX-License-Identifier: MIT
// Tells systemd what becomes of the process (sd_notify(3)), and feeds its watchdog while all workers turn.
// Does nothing where nobody asked for that. Main thread.
#pragma once
#include <sys/socket.h>
#include <sys/un.h>
#include "loop/loop.h"

struct worker;

struct notify {
  int fd; // -1: nobody listens
  struct sockaddr_un to;
  socklen_t to_len;
  struct loop *loop;
  struct timer timer; // of the watchdog
  double period;      // in which it is fed
  struct worker **workers;
  size_t count;
  unsigned long *seen; // the workers' turns when it was fed last
};

// Reads who wants to be told; `is_heir`: this process goes on for the one that systemd has started.
void notify_open(struct notify *n, bool is_heir);

// Says it, "NAME=value" lines; never waits.
void notify_say(struct notify *n, const char *format, ...) __attribute__((format(printf, 2, 3)));

// The monotonic time of now, as RELOADING=1 needs it.
unsigned long long notify_microseconds(void);

// Feeds the watchdog from now on, where there is one: in time after a turn of each worker, and not where one
// has made none.
void notify_feed(struct notify *n, struct loop *loop, struct worker **workers, size_t count);

// Says nothing any more.
void notify_close(struct notify *n);
