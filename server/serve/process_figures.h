// SPDX-License-Identifier: MIT
// What the system knows of the process, as Prometheus's own clients name it. Any thread.
#pragma once
#include <stdbool.h>

struct buf;

// Its lines, as metrics_expose.
void process_figures_expose(struct buf *out, bool as_openmetrics);
