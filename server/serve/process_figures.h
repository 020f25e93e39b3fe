// SPDX-License-Identifier: MIT
// What the system knows of the process, as Prometheus's own clients name it. Any thread.
#pragma once
#include <stdbool.h>

struct buf;

struct process_figures {
  double cpu, resident, descriptors, descriptors_max, started_at; // seconds, bytes, since 1970
};
struct process_figures process_figures_read(void);

// Bytes that are in RAM.
double process_resident(void);

// Its lines, as metrics_expose.
void process_figures_expose(struct buf *out, bool as_openmetrics);
