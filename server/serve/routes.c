// SPDX-License-Identifier: MIT
// The metrics' lock guards the names, which are only added to, and which figures there are; the numbers are
// their worker's.
#include "serve/routes.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/lock.h"
#include "base/mem.h"
#include "serve/service.h"

static const char NO_NAME[] = " ";

// With the lock held: the number of a name, which is given one unless there are too many; then 0.
static uint16_t number_of(struct metrics *m, const char *name) {
  for (size_t i = 1; i < m->route_count; i++)
    if (!strcmp(m->routes[i], name)) return (uint16_t)i;
  if (m->route_count == ROUTES_MAX) return 0;
  m->routes[m->route_count] = xstrdup(name);
  return (uint16_t)m->route_count++;
}

// With the lock held.
static void make_figures(struct service *s, uint16_t number) {
  if (!s->routes[number]) s->routes[number] = xcalloc(1, sizeof *s->routes[number]);
}

uint16_t routes_number(struct service *s, struct span method, struct span pattern) {
  struct metrics *m = &s->process->metrics;
  char *name = xasprintf(SPAN_FMT " " SPAN_FMT, SPAN_ARG(method), SPAN_ARG(pattern));
  lock_take(&m->lock);
  uint16_t number = number_of(m, name);
  make_figures(s, number);
  lock_release(&m->lock);
  free(name);
  return number;
}

const char *routes_name(const struct metrics *m, uint16_t number) { return number ? m->routes[number] : ""; }

void routes_count(struct service *s, uint16_t number, int status, double seconds) {
  struct route_figures *f = s->routes[number];
  counter_add(&f->answers[MIN(status / 100, 5)], 1);
  histogram_add_seconds(&f->seconds, seconds);
}

// With the lock held: of all workers.
static struct route_figures sum_of(const struct metrics *m, size_t number) {
  struct route_figures sum = {0};
  list_each (node, &m->workers) {
    const struct service *s = container_of(node, struct service, counted);
    if (s->routes[number]) counters_sum(&sum, s->routes[number], sizeof sum);
  }
  return sum;
}

static bool has_answered(const struct route_figures *f) {
  static const struct route_figures nothing;
  return memcmp(f, &nothing, sizeof nothing) != 0;
}

// The labels of a route: method="GET",route="/x". A pattern may hold quotes and backslashes.
static void add_labels(struct buf *labels, const char *name) {
  const char *pattern = strchr(name, ' ');
  labels->len = 0;
  buf_printf(labels, "method=\"%.*s\",route=\"", (int)(pattern - name), name);
  for (const char *at = pattern + 1; *at; at++) {
    if (*at == '"' || *at == '\\') buf_append_byte(labels, '\\');
    buf_append_byte(labels, *at);
  }
  buf_append_byte(labels, '"');
}

static void write_answers(struct buf *out, struct span labels, const struct route_figures *f) {
  for (int i = 1; i < 6; i++)
    if (f->answers[i])
      buf_printf(out, "spate_answers_total{" SPAN_FMT ",status=\"%dxx\"} %" PRIu64 "\n", SPAN_ARG(labels), i,
                 f->answers[i]);
}

static void write_seconds(struct buf *out, struct span labels, const struct route_figures *f) {
  histogram_expose(out, "answer_seconds", labels, seconds_bounds, 1e6, &f->seconds);
}

static void write_all(struct buf *out, struct metrics *m,
                      void (*write)(struct buf *out, struct span labels, const struct route_figures *f)) {
  struct buf labels = {0};
  for (size_t i = 0; i < m->route_count; i++) {
    const struct route_figures sum = sum_of(m, i);
    if (!has_answered(&sum)) continue;
    add_labels(&labels, i ? m->routes[i] : NO_NAME);
    write(out, buf_span(&labels), &sum);
  }
  buf_deinit(&labels);
}

void routes_expose(struct buf *out, struct metrics *m, bool as_openmetrics) {
  lock_take(&m->lock);
  buf_printf(out,
             "# HELP spate_answers%s Answers of the application, by route and the kind of status.\n"
             "# TYPE spate_answers%s counter\n",
             as_openmetrics ? "" : "_total", as_openmetrics ? "" : "_total");
  write_all(out, m, write_answers);
  buf_printf(out, "# HELP spate_answer_seconds From a request's head to the head of its answer.\n"
                  "# TYPE spate_answer_seconds histogram\n");
  write_all(out, m, write_seconds);
  lock_release(&m->lock);
}

void routes_free_figures(struct service *s) {
  for (size_t i = 0; i < ROUTES_MAX; i++) free(s->routes[i]);
  free(s->routes);
}
