// SPDX-License-Identifier: MIT
// The table of metrics in Prometheus's text format 0.0.4 and in OpenMetrics 1.0, which differ in this: the
// latter names a counter's family without `_total`, and ends with a line that says so.
#include <inttypes.h>
#include <string.h>
#include "base/buf.h"
#include "serve/metrics.h"

static const char *series_of(const struct metric *m) { return m->series ? m->series : m->name; }

static const char *type_of(const struct metric *m) {
  if (metric_is_histogram(m)) return "histogram";
  return m->type == METRIC_GAUGE ? "gauge" : "counter";
}

static void write_family(struct buf *out, const struct metric *m, bool as_openmetrics) {
  const char *series = series_of(m);
  int len = (int)strlen(series);
  if (as_openmetrics && m->type == METRIC_COUNTER) len -= (int)strlen("_total");
  buf_printf(out, "# HELP spate_%.*s %s\n# TYPE spate_%.*s %s\n", len, series, m->help, len, series,
             type_of(m));
}

void histogram_expose(struct buf *out, const char *name, struct span labels, const double *bounds,
                      double unit, const struct histogram *h) {
  const char *comma = labels.len ? "," : "";
  uint64_t count = 0;
  size_t i = 0;
  for (; bounds[i] > 0; i++)
    buf_printf(out, "spate_%s_bucket{" SPAN_FMT "%sle=\"%.10g\"} %" PRIu64 "\n", name, SPAN_ARG(labels),
               comma, bounds[i], count += h->counts[i]);
  count += h->counts[i];
  buf_printf(out, "spate_%s_bucket{" SPAN_FMT "%sle=\"+Inf\"} %" PRIu64 "\n", name, SPAN_ARG(labels), comma,
             count);
  const char *open = labels.len ? "{" : "", *close = labels.len ? "}" : "";
  buf_printf(out, "spate_%s_sum%s" SPAN_FMT "%s %.10g\n", name, open, SPAN_ARG(labels), close,
             (double)h->sum / unit);
  buf_printf(out, "spate_%s_count%s" SPAN_FMT "%s %" PRIu64 "\n", name, open, SPAN_ARG(labels), close, count);
}

static void write_histogram(struct buf *out, const struct metric *m, const struct histogram *h) {
  bool is_time = m->type == METRIC_SECONDS;
  histogram_expose(out, m->name, SPAN(""), is_time ? seconds_bounds : bytes_bounds, is_time ? 1e6 : 1, h);
}

static void write_value(struct buf *out, const struct metric *m, uint64_t value) {
  if (m->labels) buf_printf(out, "spate_%s{%s} %" PRIu64 "\n", series_of(m), m->labels, value);
  else buf_printf(out, "spate_%s %" PRIu64 "\n", series_of(m), value);
}

void metrics_expose(struct buf *out, const struct figures *f, bool as_openmetrics) {
  const char *last = "";
  for (const struct metric *m = metrics_table; m->name; m++) {
    if (strcmp(last, series_of(m)) != 0) write_family(out, m, as_openmetrics);
    last = series_of(m);
    if (metric_is_histogram(m))
      write_histogram(out, m, (const struct histogram *)(const void *)((const char *)f + m->offset));
    else write_value(out, m, metric_value(m, f));
  }
}
