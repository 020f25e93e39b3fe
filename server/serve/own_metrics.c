// SPDX-License-Identifier: MIT
// One lock for all: an application counts some thousand things a second, not millions. What reads is a
// scrape, now and then.
#include "serve/own_metrics.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/mem.h"

struct own_metric {
  struct list link;
  enum own_type type;
  char *name, *help, *labels;
  double bounds[OWN_BOUNDS_MAX];
  size_t bound_count;
  struct map series;
};

struct own_series {
  struct map_node node; // its labels
  double value;         // of a histogram the sum
  uint64_t *counts;     // of a histogram: at most each bound, and above
  char labels[];
};

static struct own_metric *family_of(struct list *node) { return container_of(node, struct own_metric, link); }

void own_metrics_init(struct own_metrics *m) {
  lock_init(&m->lock);
  list_init(&m->families);
}

static void free_series(struct map_node *node, void *series) {
  struct own_series *s = container_of(node, struct own_series, node);
  map_remove(series, node);
  free(s->counts);
  free(s);
}

static void free_family(struct own_metric *f) {
  map_each(&f->series, free_series, &f->series);
  map_deinit(&f->series);
  free(f->name);
  free(f->help);
  free(f->labels);
  free(f);
}

void own_metrics_deinit(struct own_metrics *m) {
  for (struct list *node; (node = list_shift(&m->families));) free_family(family_of(node));
  lock_deinit(&m->lock);
}

// The name as OpenMetrics has it, which a counter and a gauge may not share.
static struct span stem_of(const char *name) {
  static const char total[] = "_total";
  size_t len = strlen(name), end = sizeof total - 1;
  return (struct span){name, len > end && !strcmp(name + len - end, total) ? len - end : len};
}

static struct own_metric *find(struct own_metrics *m, const char *name) {
  list_each (node, &m->families)
    if (span_equal(stem_of(family_of(node)->name), stem_of(name))) return family_of(node);
  return NULL;
}

static const char *difference(const struct own_metric *f, const struct own_shape *shape) {
  if (f->type != shape->type) return "it has another type";
  if (strcmp(f->labels, shape->labels) != 0) return "it has other labels";
  bool same = f->bound_count == shape->bound_count &&
              !memcmp(f->bounds, shape->bounds, f->bound_count * sizeof *f->bounds);
  return same ? NULL : "it has other buckets";
}

static struct own_metric *make(struct own_metrics *m, const struct own_shape *shape) {
  struct own_metric *f = xcalloc(1, sizeof *f);
  f->type = shape->type, f->bound_count = shape->bound_count;
  f->name = xstrdup(shape->name), f->help = xstrdup(shape->help), f->labels = xstrdup(shape->labels);
  memcpy(f->bounds, shape->bounds, shape->bound_count * sizeof *f->bounds);
  map_init(&f->series, map_seed(f));
  list_append(&m->families, &f->link);
  m->count++;
  return f;
}

struct own_metric *own_metric_define(struct own_metrics *m, const struct own_shape *shape, const char **why) {
  lock_take(&m->lock);
  struct own_metric *f = find(m, shape->name);
  *why = NULL;
  if (f) *why = difference(f, shape);
  else if (m->count == OWN_METRICS_MAX) *why = "there are too many";
  else f = make(m, shape);
  lock_release(&m->lock);
  return *why ? NULL : f;
}

// With the lock held; NULL where there are too many.
static struct own_series *series_of(struct own_metric *f, struct span labels) {
  struct map_node *node = map_find(&f->series, labels);
  if (node) return container_of(node, struct own_series, node);
  if (f->series.count == OWN_SERIES_MAX) return NULL;
  struct own_series *s = xcalloc(1, sizeof *s + labels.len);
  if (labels.len) memcpy(s->labels, labels.bytes, labels.len);
  s->node.name = (struct span){s->labels, labels.len};
  if (f->type == OWN_HISTOGRAM) s->counts = xcalloc(f->bound_count + 1, sizeof *s->counts);
  map_insert(&f->series, &s->node);
  return s;
}

static void count_in(const struct own_metric *f, struct own_series *s, double value) {
  size_t i = 0;
  while (i < f->bound_count && value > f->bounds[i]) i++;
  s->counts[i]++;
}

bool own_metric_add(struct own_metrics *m, struct own_metric *f, struct span labels, double value) {
  lock_take(&m->lock);
  struct own_series *s = series_of(f, labels);
  if (s) s->value += value;
  if (s && s->counts) count_in(f, s, value);
  lock_release(&m->lock);
  return s;
}

bool own_metric_set(struct own_metrics *m, struct own_metric *f, struct span labels, double value) {
  lock_take(&m->lock);
  struct own_series *s = series_of(f, labels);
  if (s) s->value = value;
  lock_release(&m->lock);
  return s;
}

struct exposing {
  struct buf *out;
  const struct own_metric *family;
};

static void write_labels(struct buf *out, struct span labels) {
  if (labels.len) buf_printf(out, "{" SPAN_FMT "}", SPAN_ARG(labels));
}

static void write_counts(struct buf *out, const struct own_metric *f, const struct own_series *s) {
  uint64_t count = 0;
  struct span labels = s->node.name;
  for (size_t i = 0; i <= f->bound_count; i++) {
    count += s->counts[i];
    buf_printf(out, "%s_bucket{" SPAN_FMT "%sle=\"", f->name, SPAN_ARG(labels), labels.len ? "," : "");
    if (i < f->bound_count) buf_printf(out, "%.10g", f->bounds[i]);
    else buf_printf(out, "+Inf");
    buf_printf(out, "\"} %" PRIu64 "\n", count);
  }
  buf_printf(out, "%s_count", f->name);
  write_labels(out, labels);
  buf_printf(out, " %" PRIu64 "\n", count);
}

static void write_series(struct map_node *node, void *arg) {
  const struct exposing *e = arg;
  const struct own_series *s = container_of(node, struct own_series, node);
  if (s->counts) write_counts(e->out, e->family, s);
  buf_printf(e->out, "%s%s", e->family->name, s->counts ? "_sum" : "");
  write_labels(e->out, node->name);
  buf_printf(e->out, " %.17g\n", s->value);
}

static void write_family(struct buf *out, struct own_metric *f, bool as_openmetrics) {
  static const char *const types[] = {"counter", "gauge", "histogram"};
  int len = (int)strlen(f->name);
  if (as_openmetrics && f->type == OWN_COUNTER) len -= (int)strlen("_total");
  buf_printf(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", len, f->name, f->help, len, f->name, types[f->type]);
  map_each(&f->series, write_series, &(struct exposing){out, f});
}

void own_metrics_expose(struct buf *out, struct own_metrics *m, bool as_openmetrics) {
  lock_take(&m->lock);
  list_each (node, &m->families) write_family(out, family_of(node), as_openmetrics);
  lock_release(&m->lock);
}
