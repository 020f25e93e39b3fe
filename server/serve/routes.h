// SPDX-License-Identifier: MIT
// What is counted of each route: how many answers of each kind, and how long until they began. A route is its
// method and pattern, so there are as many as an application has, and they outlive its code.
#pragma once
#include <stdint.h>
#include "base/span.h"
#include "serve/metrics.h"

struct service;

enum { ROUTES_MAX = 1000 }; // that are told apart; what is beyond counts as the first, which has no name

// Of one worker, who alone writes.
struct route_figures {
  uint64_t answers[6]; // by the first digit of their status
  struct histogram seconds;
};

// The figures of a route at a worker, for as long as that lives. Any thread.
struct route_figures *routes_find(struct service *s, struct span method, struct span pattern);

// Counts an answer, which began so many seconds behind its request. The worker's thread.
void routes_count(struct route_figures *f, int status, double seconds);

// The lines of those routes that have answered, as metrics_expose. Any thread.
void routes_expose(struct buf *out, struct metrics *m, bool as_openmetrics);

// Frees the figures of a worker, which counts no more.
void routes_free_figures(struct service *s);
