// SPDX-License-Identifier: MIT
// Since Linux 6.2 the size of /proc/self/fd is the number of descriptors; before, they are listed.
#include "serve/process_figures.h"
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/buf.h"

static const char DESCRIPTORS[] = "/proc/self/fd";

static double seconds_of(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

static double cpu_seconds(void) {
  struct rusage r;
  return getrusage(RUSAGE_SELF, &r) == 0 ? seconds_of(r.ru_utime) + seconds_of(r.ru_stime) : 0;
}

static double listed_descriptors(void) {
  double count = 0;
  DIR *d = opendir(DESCRIPTORS);
  if (!d) return 0;
  for (struct dirent *e; (e = readdir(d));) count += e->d_name[0] != '.';
  closedir(d);
  return count - 1; // that of the listing
}

static double open_descriptors(void) {
  struct stat s;
  return stat(DESCRIPTORS, &s) == 0 && s.st_size ? (double)s.st_size : listed_descriptors();
}

static double most_descriptors(void) {
  struct rlimit r;
  return getrlimit(RLIMIT_NOFILE, &r) == 0 ? (double)r.rlim_cur : 0;
}

// Of /proc/self/statm, in bytes.
static void memory(double *virtual, double *resident) {
  long pages, in_memory;
  FILE *f = fopen("/proc/self/statm", "r");
  *virtual = *resident = 0;
  if (!f) return;
  if (fscanf(f, "%ld %ld", &pages, &in_memory) == 2)
    *virtual = (double)pages * (double)sysconf(_SC_PAGESIZE),
    *resident = (double)in_memory * (double)sysconf(_SC_PAGESIZE);
  fclose(f);
}

// Seconds since 1970 at which the process began, by its age: field 22 of /proc/self/stat is in ticks since
// the machine's start, which the monotonic clock that counts sleep too has as well.
static double start_time(void) {
  char text[1024];
  unsigned long long ticks;
  struct timespec since_boot, wall;
  FILE *f = fopen("/proc/self/stat", "r");
  const char *at = f && fgets(text, sizeof text, f) ? strrchr(text, ')') : NULL;
  if (f) fclose(f);
  if (!at || sscanf(at, ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
                    &ticks) != 1)
    return 0;
  clock_gettime(CLOCK_BOOTTIME, &since_boot);
  clock_gettime(CLOCK_REALTIME, &wall);
  double age = (double)since_boot.tv_sec - (double)ticks / (double)sysconf(_SC_CLK_TCK);
  return (double)wall.tv_sec - age;
}

static void gauge(struct buf *out, const char *name, const char *help, double value) {
  buf_printf(out, "# HELP process_%s %s\n# TYPE process_%s gauge\nprocess_%s %.17g\n", name, help, name, name,
             value);
}

double process_resident(void) {
  double virtual, resident;
  memory(&virtual, &resident);
  return resident;
}

struct process_figures process_figures_read(void) {
  struct process_figures f = {.cpu = cpu_seconds(),
                              .descriptors = open_descriptors(),
                              .descriptors_max = most_descriptors(),
                              .started_at = start_time(),
                              .resident = process_resident()};
  return f;
}

void process_figures_expose(struct buf *out, bool as_openmetrics) {
  const char *end = as_openmetrics ? "" : "_total";
  double virtual, resident;
  memory(&virtual, &resident);
  buf_printf(out,
             "# HELP process_cpu_seconds%s CPU time of all threads.\n# TYPE process_cpu_seconds%s counter\n"
             "process_cpu_seconds_total %.6f\n",
             end, end, cpu_seconds());
  gauge(out, "resident_memory_bytes", "Memory that is in RAM.", resident);
  gauge(out, "virtual_memory_bytes", "Address space.", virtual);
  gauge(out, "open_fds", "Open descriptors.", open_descriptors());
  gauge(out, "max_fds", "Descriptors that may be open.", most_descriptors());
  gauge(out, "start_time_seconds", "When the process began, in seconds since 1970.", start_time());
}
