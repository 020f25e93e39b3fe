// SPDX-License-Identifier: MIT
// The lock guards who is in the lists, not the numbers, which their owners go on writing: a sum is of values
// that were right within the last moment, each by itself.
#include "serve/metrics.h"
#include <stddef.h>
#include <stdlib.h>
#include "base/lock.h"
#include "base/mem.h"
#include "base/util.h"
#include "event/broker.h"
#include "event/shared.h"
#include "serve/service.h"
#include "store/store.h"

#define COUNTER(name, field, help) \
  { name, help, METRIC_COUNTER, offsetof(struct figures, field), NULL, NULL }
#define GAUGE(name, field, help) GAUGE_AS(name, NULL, field, help)
#define GAUGE_AS(name, series, field, help) \
  { name, help, METRIC_GAUGE, offsetof(struct figures, field), series, NULL }
#define ENDED(reason, why)                                                               \
  {                                                                                      \
    "closed_" reason "_total", "Event streams that have ended, by why.", METRIC_COUNTER, \
        offsetof(struct figures, counters.closed_total[why]), "streams_closed_total",    \
        "reason=\"" reason "\""                                                          \
  }
#define REFUSED_HELP \
  "Connections, requests and tasks refused, by which limit; none: not HTTP as it should be."
#define REFUSED_AS(name, which)                                                                        \
  {                                                                                                    \
    "refused_" name "_total", REFUSED_HELP, METRIC_COUNTER,                                            \
        offsetof(struct figures, counters.refused_total[which]), "refused_total", "limit=\"" name "\"" \
  }
#define HISTOGRAM(kind, series, field, help) \
  { series, help, kind, offsetof(struct figures, counters.field), NULL, NULL }
#define PUBLISHED(store, kind, result, what)                                                               \
  {                                                                                                        \
    "published_" store "_" result "_total", "What became of publishes, by the channel's store.",           \
        METRIC_COUNTER, offsetof(struct figures, counters.publishes_total[kind][what]), "publishes_total", \
        "store=\"" store "\",result=\"" result "\""                                                        \
  }
const struct metric metrics_table[] = {
    GAUGE("generation", generation, "Number of the code that is served; a reload adds one."),
    GAUGE("generations", generations, "Generations of code whose Lua states are not closed yet."),
    COUNTER("reloads_total", reloads_total, "Reloads that are served."),
    COUNTER("reloads_failed_total", reloads_failed_total, "Reloads that were refused."),
    GAUGE_AS("connections", "connections_open", counters.connections_open, "Open connections."),
    GAUGE_AS("streams", "streams_open", counters.streams_open, "Open event streams."),
    COUNTER("connections_total", counters.connections_total, "Connections accepted."),
    COUNTER("requests_total", counters.requests_total, "Requests."),
    REFUSED_AS("none", LIMIT_NONE),
    REFUSED_AS("head", LIMIT_HEAD),
    REFUSED_AS("fields", LIMIT_FIELDS),
    REFUSED_AS("target", LIMIT_TARGET),
    REFUSED_AS("query_pairs", LIMIT_QUERY_PAIRS),
    REFUSED_AS("body", LIMIT_BODY),
    REFUSED_AS("chunk_extensions", LIMIT_CHUNK_EXTENSIONS),
    REFUSED_AS("timeout", LIMIT_TIMEOUT),
    REFUSED_AS("connections", LIMIT_CONNECTIONS),
    REFUSED_AS("connections_per_address", LIMIT_CONNECTIONS_PER_ADDRESS),
    {"refused_handshakes_total", REFUSED_HELP, METRIC_COUNTER,
     offsetof(struct figures, counters.tls.crowded_total), "refused_total", "limit=\"handshakes\""},
    REFUSED_AS("tasks", LIMIT_TASKS),
    REFUSED_AS("lua_memory", LIMIT_LUA_MEMORY),
    REFUSED_AS("rate_limit", LIMIT_RATE),
    REFUSED_AS("stream_limit", LIMIT_STREAMS),
    REFUSED_AS("durable_streams", LIMIT_DURABLE),
    COUNTER("http2_resets_total", counters.floods_total[FLOOD_RESETS],
            "Connections of HTTP/2 ended: streams reset too often."),
    COUNTER("http2_frames_total", counters.floods_total[FLOOD_FRAMES],
            "Connections of HTTP/2 ended: frames that bring nothing."),
    COUNTER("http2_heads_total", counters.floods_total[FLOOD_HEADS],
            "Connections of HTTP/2 ended: heads far too large."),
    COUNTER("http2_answers_total", counters.floods_total[FLOOD_ANSWERS],
            "Connections of HTTP/2 ended: answers that were not read."),
    COUNTER("streams_total", counters.streams_total, "Event streams opened."),
    ENDED("finished", REASON_FINISHED),
    ENDED("client_closed", REASON_CLIENT_CLOSED),
    ENDED("error", REASON_ERROR),
    ENDED("timeout", REASON_TIMEOUT),
    ENDED("slow_consumer", REASON_SLOW_CONSUMER),
    ENDED("shutdown", REASON_SHUTDOWN),
    ENDED("reload", REASON_RELOAD),
    ENDED("kicked", REASON_KICKED),
    COUNTER("events_total", counters.events_total, "Events handed to clients."),
    COUNTER("bytes_total", counters.bytes_total, "Bytes handed to clients."),
    COUNTER("compressed_bytes_in_total", counters.compressed_bytes_in_total,
            "Bytes of bodies that were compressed, before."),
    COUNTER("compressed_bytes_out_total", counters.compressed_bytes_out_total, "The same, after."),
    GAUGE("compressors", compressors, "Windows of compressed streams, one for a channel or for a client."),
    GAUGE("compressor_bytes", compressor_bytes, "Bytes of these windows."),
    COUNTER("compressors_refused_total", compressors_refused_total,
            "Events compressed alone for want of a window: compress.memory."),
    COUNTER("batches_total", counters.batches_total, "Calls into the kernel that sent for many connections."),
    COUNTER("batched_sends_total", counters.batched_sends_total, "Sends that went by such a call."),
    COUNTER("slow_total", counters.slow_total,
            "Clients cut because they took too little for too long, or fell behind."),
    COUNTER("dropped_total", counters.dropped_total, "Events that a slow subscriber did not get."),
    COUNTER("tls_handshakes_total", counters.tls.handshakes_total, "Handshakes of TLS."),
    COUNTER("tls_resumed_total", counters.tls.resumed_total, "Those that a ticket has shortened."),
    COUNTER("tls_refused_total", counters.tls.refused_total,
            "Handshakes that failed, took too long, or were one too many."),
    COUNTER("tls_truncated_total", counters.tls.truncated_total,
            "Connections by TLS that ended without close_notify, as by a cut."),
    GAUGE_AS("http_requests", "http_requests_open", counters.http_requests_open,
             "Requests to other servers whose answers are not let go of."),
    COUNTER("http_requests_total", counters.http_requests_total, "Requests to other servers."),
    COUNTER("http_errors_total", counters.http_errors_total, "Those that failed, or were one too many."),
    COUNTER("http_bytes_in_total", counters.http_bytes_in_total, "Bytes of other servers' answers."),
    COUNTER("http_bytes_out_total", counters.http_bytes_out_total, "Bytes of bodies sent to other servers."),
    GAUGE("files_followed", counters.files_followed, "Files and folders that scripts follow or watch."),
    COUNTER("file_bytes_total", counters.file_bytes_total,
            "Bytes that scripts have read and written by spate.fs."),
    HISTOGRAM(METRIC_SECONDS, "turn_seconds", turns,
              "Turns of workers' loops: how long they serve nobody else."),
    HISTOGRAM(METRIC_SECONDS, "lag_seconds", waits,
              "What clients did not take at once: how long it has waited when they had taken it."),
    HISTOGRAM(METRIC_BYTES, "lag_bytes", unsent,
              "How many bytes waited for a client that did not take all at once."),
    COUNTER("long_turns_total", counters.long_turns_total,
            "Turns of a worker's loop that took longer than limits.turn."),
    COUNTER("work_total", counters.work_total, "Work given to threads beside the loops."),
    COUNTER("work_busy_total", counters.work_busy_total,
            "Work refused because too much waited for a thread."),
    GAUGE_AS("processes", "processes_running", counters.processes,
             "Programs that scripts have started, with what they have started."),
    COUNTER("processes_total", counters.processes_total, "Programs started."),
    COUNTER("processes_refused_total", counters.processes_refused_total,
            "Programs not started: one too many, missing, not allowed."),
    GAUGE("databases", counters.databases, "Connections to databases that scripts have."),
    COUNTER("database_calls_total", counters.database_calls_total, "Statements asked of databases."),
    COUNTER("database_errors_total", counters.database_errors_total, "Those that failed."),
    COUNTER("redis_commands_total", counters.redis_commands_total,
            "Commands that scripts have asked of Redis servers."),
    GAUGE("channels", channels, "Channels."),
    GAUGE("channel_bytes", channel_bytes, "Bytes of the channels' histories."),
    COUNTER("published_total", published_total, "Events published to channels."),
    PUBLISHED("memory", STORE_MEMORY, "ok", PUBLISHED_OK),
    PUBLISHED("memory", STORE_MEMORY, "full", PUBLISHED_FULL),
    PUBLISHED("memory", STORE_MEMORY, "finished", PUBLISHED_FINISHED),
    PUBLISHED("memory", STORE_MEMORY, "too_large", PUBLISHED_TOO_LARGE),
    PUBLISHED("sqlite", STORE_SQLITE, "ok", PUBLISHED_OK),
    PUBLISHED("sqlite", STORE_SQLITE, "finished", PUBLISHED_FINISHED),
    PUBLISHED("sqlite", STORE_SQLITE, "too_large", PUBLISHED_TOO_LARGE),
    PUBLISHED("sqlite", STORE_SQLITE, "unavailable", PUBLISHED_UNAVAILABLE),
    PUBLISHED("redis", STORE_REDIS, "ok", PUBLISHED_OK),
    PUBLISHED("redis", STORE_REDIS, "finished", PUBLISHED_FINISHED),
    PUBLISHED("redis", STORE_REDIS, "too_large", PUBLISHED_TOO_LARGE),
    PUBLISHED("redis", STORE_REDIS, "unavailable", PUBLISHED_UNAVAILABLE),
    HISTOGRAM(METRIC_SECONDS, "publish_seconds", publishes,
              "How long publishes to channels with a store waited for its answer."),
    COUNTER("full_total", full_total, "Publishes refused because channels were full."),
    COUNTER("lost_total", lost_total,
            "Times that a worker had too many events waiting: its subscribers were cut."),
    GAUGE("store_waiting", store_waiting, "Requests that wait for the store."),
    GAUGE("store_bytes", store_bytes, "Bytes of the store's file and its log."),
    COUNTER("store_kept_total", store_kept_total, "Events that the store has kept."),
    COUNTER("store_commits_total", store_commits_total, "Transactions of the store that hold events."),
    COUNTER("store_trimmed_total", store_trimmed_total,
            "Events that the store has let go of: too many, too large together, too old."),
    COUNTER("store_refused_total", store_refused_total,
            "Requests that the store could not carry out: unavailable."),
    COUNTER("store_failed_total", store_failed_total, "Times that something was wrong with the store."),
    GAUGE("shared_bytes", shared_bytes, "Bytes of the shared dictionaries."),
    GAUGE("tasks", tasks, "Tasks: requests' and spawned ones."),
    GAUGE("timers", counters.timers, "Timers of workers that are armed."),
    COUNTER("collections_total", counters.collections_total,
            "Cycles that the Lua states' garbage collectors have ended."),
    GAUGE("lua_bytes", lua_bytes, "Bytes of the Lua states."),
    GAUGE("offload_states", offload_states, "Lua states of spate.offload, which lua_bytes has as well."),
    {0}};

const double seconds_bounds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                 0.25,   0.5,   1,      2.5,   5,    10,    0};
const double bytes_bounds[] = {256,       1 << 10, 4 << 10, 16 << 10, 64 << 10,
                               256 << 10, 1 << 20, 4 << 20, 16 << 20, 0};

static void histogram_add(struct histogram *h, const double *bounds, double value, double sum) {
  size_t i = 0;
  while (bounds[i] > 0 && value > bounds[i]) i++;
  counter_add(&h->counts[i], 1);
  counter_add(&h->sum, (int64_t)sum);
}

void histogram_add_seconds(struct histogram *h, double seconds) {
  histogram_add(h, seconds_bounds, seconds, seconds * 1e6);
}

void histogram_add_bytes(struct histogram *h, size_t bytes) {
  histogram_add(h, bytes_bounds, (double)bytes, (double)bytes);
}

void metrics_init(struct metrics *m) {
  lock_init(&m->lock);
  own_metrics_init(&m->own);
  m->routes = xcalloc(ROUTES_MAX, sizeof *m->routes), m->route_count = 1;
  list_init(&m->workers);
  list_init(&m->states);
  list_init(&m->pools);
}

void metrics_deinit(struct metrics *m) {
  while (m->route_count) free(m->routes[--m->route_count]);
  free(m->routes);
  own_metrics_deinit(&m->own);
  lock_deinit(&m->lock);
}

static void link_in(struct metrics *m, struct list *all, struct list *node) {
  lock_take(&m->lock);
  list_append(all, node);
  lock_release(&m->lock);
}

void counters_sum(void *sum, const void *counters, size_t size) {
  uint64_t *to = sum;
  const uint64_t *from = counters;
  for (size_t i = 0; i < size / sizeof *from; i++) to[i] += __atomic_load_n(from + i, __ATOMIC_RELAXED);
}

static void figures_add(struct counters *sum, const struct counters *c) { counters_sum(sum, c, sizeof *c); }

void metrics_add_worker(struct metrics *m, struct service *s) { link_in(m, &m->workers, &s->counted); }

void metrics_remove_worker(struct metrics *m, struct service *s) {
  lock_take(&m->lock);
  list_remove(&s->counted);
  figures_add(&m->past, &s->counters);
  lock_release(&m->lock);
}

void metrics_add_state(struct metrics *m, struct state_gauges *g) { link_in(m, &m->states, &g->link); }

void metrics_remove_state(struct metrics *m, struct state_gauges *g) {
  lock_take(&m->lock);
  list_remove(&g->link);
  lock_release(&m->lock);
}

// True for the first of the states of its generation.
static bool is_first(const struct metrics *m, const struct state_gauges *g) {
  const struct list *node = m->states.next;
  while (container_of(node, struct state_gauges, link)->generation != g->generation) node = node->next;
  return node == &g->link;
}

static void sum(struct metrics *m, struct figures *f) {
  lock_take(&m->lock);
  f->counters = m->past;
  list_each (node, &m->workers)
    figures_add(&f->counters, &container_of(node, struct service, counted)->counters);
  list_each (node, &m->states) {
    const struct state_gauges *g = container_of(node, struct state_gauges, link);
    f->generations += is_first(m, g);
    f->offload_states += g->is_helper;
    f->tasks += __atomic_load_n(&g->tasks, __ATOMIC_RELAXED);
    f->lua_bytes += __atomic_load_n(&g->lua_bytes, __ATOMIC_RELAXED);
  }
  lock_release(&m->lock);
}

static void read_store(struct figures *f, struct store *s) {
  if (!s) return;
  struct store_counters *c = &s->counters;
  f->store_waiting = atomic_load(&c->waiting), f->store_bytes = atomic_load(&c->bytes);
  f->store_kept_total = atomic_load(&c->kept_total), f->store_trimmed_total = atomic_load(&c->trimmed_total);
  f->store_commits_total = atomic_load(&c->commits_total);
  f->store_refused_total = atomic_load(&c->refused_total),
  f->store_failed_total = atomic_load(&c->failed_total);
}

struct figures metrics_read(struct process_state *p, struct broker *b, struct shared_registry *r) {
  const struct broker_counters of_channels = broker_counters(b);
  struct figures f = {.generation = atomic_load(&p->generation),
                      .reloads_total = atomic_load(&p->reloads_total),
                      .reloads_failed_total = atomic_load(&p->reloads_failed_total),
                      .channels = of_channels.channels,
                      .channel_bytes = of_channels.bytes,
                      .published_total = of_channels.published_total,
                      .full_total = of_channels.full_total,
                      .lost_total = of_channels.lost_total,
                      .compressors = (uint64_t)atomic_load(&b->deflaters.count),
                      .compressor_bytes = (uint64_t)atomic_load(&b->deflaters.bytes),
                      .compressors_refused_total = atomic_load(&b->deflaters.refused_total),
                      .shared_bytes = shared_registry_bytes(r)};
  sum(&p->metrics, &f);
  read_store(&f, b->store);
  return f;
}
