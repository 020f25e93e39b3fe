// SPDX-License-Identifier: MIT
// What applications count for themselves: families of series, of the whole process, that outlive reloads. Any
// thread.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include "base/list.h"
#include "base/span.h"

struct buf;
struct own_metric;

enum {
  OWN_METRICS_MAX = 200,
  OWN_SERIES_MAX = 1000,
  OWN_BOUNDS_MAX = 32
}; // families; series and bounds of one

enum own_type { OWN_COUNTER, OWN_GAUGE, OWN_HISTOGRAM };

struct own_metrics {
  pthread_mutex_t lock;
  struct list families; // behind the lock
  size_t count;
};

struct own_shape {
  enum own_type type;
  const char *name, *help;
  const char *labels;   // their names, as the caller tells them apart
  const double *bounds; // of a histogram: ascending, so many
  size_t bound_count;
};

void own_metrics_init(struct own_metrics *m);
void own_metrics_deinit(struct own_metrics *m);

// The family of this name, which lives as long as the process; made where there is none. NULL and why
// (static): there are too many, or it has another type, labels or bounds.
struct own_metric *own_metric_define(struct own_metrics *m, const struct own_shape *shape, const char **why);

// Adds to, or sets, the value of the series with these labels ('kind="mail"'), or has a histogram count it.
// False where there would be too many series.
bool own_metric_add(struct own_metrics *m, struct own_metric *f, struct span labels, double value);
bool own_metric_set(struct own_metrics *m, struct own_metric *f, struct span labels, double value);

// The lines of all of them, as metrics_expose.
void own_metrics_expose(struct buf *out, struct own_metrics *m, bool as_openmetrics);
