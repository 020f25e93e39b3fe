// SPDX-License-Identifier: MIT
// What processes have used of the processor, and hold of memory.
#pragma once
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

struct usage {
  double cpu_seconds, rss_kb;
};

// The CPU clock of a process counts all its threads, in nanoseconds.
static double process_cpu(pid_t pid) {
  clockid_t clock;
  struct timespec t;
  if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t)) return 0;
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool read_kb(pid_t pid, const char *file, const char *format, double *kb) {
  char text[256];
  snprintf(text, sizeof text, "/proc/%d/%s", pid, file);
  FILE *f = fopen(text, "r");
  if (!f) return false;
  bool found = false;
  while (!found && fgets(text, sizeof text, f)) found = sscanf(text, format, kb) == 1;
  fclose(f);
  return found;
}

// VmRSS lags behind by some pages per core; smaps_rollup counts them.
static double process_rss_kb(pid_t pid) {
  double kb = 0;
  if (!read_kb(pid, "smaps_rollup", "Rss: %lf", &kb)) read_kb(pid, "status", "VmRSS: %lf", &kb);
  return kb;
}

// The sum over all of them.
static struct usage usage_of(const pid_t *pids, int count) {
  struct usage u = {0, 0};
  for (int i = 0; i < count; i++) {
    u.cpu_seconds += process_cpu(pids[i]);
    u.rss_kb += process_rss_kb(pids[i]);
  }
  return u;
}
