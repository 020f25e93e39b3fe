// SPDX-License-Identifier: MIT
// Preloaded into the program under callgrind (spec/instructions/measure.lua). Its time stands still, but
// where a worker's loop would sleep: what its timers wait for is then due at once, while time is left to go.
// And instructions are counted as long as they are to be. So the same work comes in the same turns on any
// machine. The file that the environment names as VIRTUAL_TIME holds doubles: what the measure asks for, and
// what it got.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

enum { BEGIN = 1000, NAP_MS = 2 }; // seconds that the clock shows at first; how long no news is waited for

static volatile struct {
  double until, counts, holds;      // how far time goes; whether instructions count; whether to take no turn
  double now, has_counted, is_held; // how far it has gone; the same of the others
} * shared;

__attribute__((constructor)) static void begin(void) {
  int fd = open(getenv("VIRTUAL_TIME"), O_RDWR | O_CLOEXEC);
  void *at = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (fd < 0 || at == MAP_FAILED) abort();
  close(fd);
  shared = at;
}

int clock_gettime(clockid_t id, struct timespec *t) {
  static int (*next)(clockid_t, struct timespec *);
  if (id == CLOCK_PROCESS_CPUTIME_ID || id == CLOCK_THREAD_CPUTIME_ID) {
    if (!next) next = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    return next(id, t);
  }
  double now = BEGIN + shared->now;
  t->tv_sec = (time_t)now;
  t->tv_nsec = (long)((now - (double)t->tv_sec) * 1e9);
  return 0;
}

static void obey(void) {
  double counts = shared->counts;
  if (counts > shared->has_counted) CALLGRIND_START_INSTRUMENTATION;
  else if (counts < shared->has_counted) CALLGRIND_STOP_INSTRUMENTATION;
  shared->has_counted = counts;
  while ((shared->is_held = shared->holds) > 0) usleep(NAP_MS * 1000);
}

// The main thread's sleep is a real one.
int epoll_wait(int epoll, struct epoll_event *list, int max, int ms) {
  static int (*next)(int, struct epoll_event *, int, int);
  if (!next) next = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
  if (gettid() == getpid() || !ms) return next(epoll, list, max, ms);
  for (;;) {
    obey();
    int n = next(epoll, list, max, 0);
    if (n) return n;
    if (ms > 0 && shared->now + ms / 1e3 <= shared->until) {
      shared->now += ms / 1e3;
      return 0;
    }
    if (shared->now < shared->until) shared->now = shared->until; // nothing is due before
    n = next(epoll, list, max, NAP_MS);
    if (n) return n;
  }
}
