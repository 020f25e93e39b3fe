// SPDX-License-Identifier: MIT
// What is counted of each route: how many answers of each kind, and how long until they began. A route is its
// method and pattern, so there are as many as an application has, and they outlive its code.
#pragma once
#include <stdint.h>
#include "base/span.h"
#include "serve/metrics.h"

struct service;

// Of one worker, who alone writes.
struct route_figures {
  uint64_t answers[6]; // by the first digit of their status
  struct histogram seconds;
};

// The number of a route, which the worker counts from now on. Any thread.
uint16_t routes_number(struct service *s, struct span method, struct span pattern);

// "GET /rooms/:room", for as long as the process; "" of 0.
const char *routes_name(const struct metrics *m, uint16_t number);

// Counts an answer, which began so many seconds behind its request. The worker's thread.
void routes_count(struct service *s, uint16_t number, int status, double seconds);

// The lines of those routes that have answered, as metrics_expose. Any thread.
void routes_expose(struct buf *out, struct metrics *m, bool as_openmetrics);

// Frees the figures of a worker, which counts no more.
void routes_free_figures(struct service *s);
