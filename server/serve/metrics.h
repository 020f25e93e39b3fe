// SPDX-License-Identifier: MIT
// What a process counts, and the one table of what that is called: spate.stats(), spate status and whoever is
// added to them walk it. Each worker counts for itself, without a lock; whoever asks sums.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/counter.h"
#include "base/list.h"
#include "base/span.h"
#include "http/proto.h"
#include "loop/tls_server.h"
#include "serve/close_reason.h"
#include "serve/own_metrics.h"

struct broker;
struct buf;
struct process_state;
struct service;
struct shared_registry;

// How often a value was at most each of the bounds of its kind, and above all of them; and the sum of all, in
// millionths of seconds or in bytes.
enum { BOUNDS_MAX = 14 };
struct histogram {
  uint64_t counts[BOUNDS_MAX + 1], sum;
};

// What became of scripts' publishes, apart by the channel's store (enum store_kind).
enum published {
  PUBLISHED_OK,
  PUBLISHED_FULL,
  PUBLISHED_FINISHED,
  PUBLISHED_TOO_LARGE,
  PUBLISHED_UNAVAILABLE,
  PUBLISHED_COUNT
};
enum { PUBLISHED_STORES = 3 };

// Of one worker, who alone writes, by counter_add; any thread may read.
struct counters {
  uint64_t closed_total[REASON_COUNT]; // event streams, by why
  struct histogram turns;              // of its loop
  uint64_t publishes_total[PUBLISHED_STORES][PUBLISHED_COUNT];
  struct histogram publishes; // with a store: from the asking to its answer
  uint64_t timers,
      collections_total; // that are armed; ended cycles of the Lua states' collectors, which any thread adds
  struct histogram waits, unsent; // of what its clients did not take at once: how long, and how many bytes
  uint64_t connections_open, connections_total;
  uint64_t streams_open, streams_total;                // event streams
  uint64_t requests_total, refused_total[LIMIT_COUNT]; // connections, requests and tasks, by which limit
  uint64_t floods_total[FLOOD_KINDS]; // connections ended, as their clients did without end what costs little
  uint64_t events_total, bytes_total; // handed to clients
  uint64_t compressed_bytes_in_total, compressed_bytes_out_total; // of bodies, before and after
  uint64_t batches_total, batched_sends_total;                    // sends that went to the kernel by one call
  uint64_t slow_total;    // clients cut because they took too little, or fell behind
  uint64_t dropped_total; // events that a slow subscriber did not get
  uint64_t http_requests_open, http_requests_total, http_errors_total; // to other servers
  uint64_t http_bytes_in_total, http_bytes_out_total;                  // of their bodies
  uint64_t long_turns_total;                                           // that took longer than limits.turn
  uint64_t work_total, work_busy_total;      // on threads beside the loop; refused as too much waited
  uint64_t processes, processes_total;       // programs that scripts have started
  uint64_t processes_refused_total;          // that were not started
  uint64_t files_followed, file_bytes_total; // by spate.fs; the bytes are read and written
  uint64_t databases, database_calls_total;  // connections that scripts have; statements asked of them
  uint64_t database_errors_total;            // those that failed
  uint64_t redis_commands_total;             // asked by scripts
  struct tls_counters tls;
};

// Of one Lua state, whose thread alone writes, by counter_add; any thread may read.
struct state_gauges {
  struct list link;
  unsigned generation;
  bool is_helper; // of spate.offload
  uint64_t tasks, lua_bytes;
};

enum { ROUTES_MAX = 1000 }; // that are told apart; what is beyond counts as the first, which has no name

// Who counts in a process.
struct metrics {
  pthread_mutex_t lock;
  struct list workers, states, pools; // behind the lock, as is
  struct counters past;               // of workers that have ended
  struct own_metrics own;             // the application's
  char **routes;                      // names of routes, by number, behind the lock; the first has none
  size_t route_count;
};

// All of it at one moment.
struct figures {
  struct counters counters;
  uint64_t generation, generations, reloads_total, reloads_failed_total;
  uint64_t channels, channel_bytes, published_total, full_total, lost_total, shared_bytes;
  uint64_t compressors, compressor_bytes, compressors_refused_total;
  uint64_t store_waiting, store_bytes, store_kept_total, store_commits_total, store_trimmed_total;
  uint64_t store_refused_total, store_failed_total;
  uint64_t tasks, lua_bytes, offload_states;
};

struct metric {
  const char *name, *help;
  enum metric_type {
    METRIC_GAUGE,
    METRIC_COUNTER,
    METRIC_SECONDS,
    METRIC_BYTES
  } type;             // the latter: histograms
  size_t offset;      // of its uint64_t, or histogram, in struct figures
  const char *series; // what it is called in an exposition, behind "spate_"; NULL: the name
  const char *labels; // that tell it from others of the same series there; NULL: none
};

// The bounds of each kind of histogram, ascending, behind them 0.
extern const double seconds_bounds[BOUNDS_MAX + 1], bytes_bounds[BOUNDS_MAX + 1];

static inline bool metric_is_histogram(const struct metric *m) { return m->type >= METRIC_SECONDS; }

// The table; its end has no name.
extern const struct metric metrics_table[];

// Of what is no histogram.
static inline uint64_t metric_value(const struct metric *m, const struct figures *f) {
  return *(const uint64_t *)(const void *)((const char *)f + m->offset);
}

void metrics_init(struct metrics *m);
void metrics_deinit(struct metrics *m);

// A worker's service is counted from now on; no longer, but for what it has counted. Any thread.
void metrics_add_worker(struct metrics *m, struct service *s);
void metrics_remove_worker(struct metrics *m, struct service *s);

// The same of a Lua state, from its making until it is closed. Any thread.
void metrics_add_state(struct metrics *m, struct state_gauges *g);
void metrics_remove_state(struct metrics *m, struct state_gauges *g);

// The sum over all workers and states, and what the process has beside them. Any thread.
struct figures metrics_read(struct process_state *p, struct broker *b, struct shared_registry *r);

// The lines of all of it for Prometheus, or as OpenMetrics 1.0. Any thread.
void metrics_expose(struct buf *out, const struct figures *f, bool as_openmetrics);

// Adds the numbers of one worker, `size` bytes of them, to a sum of its own kind. Any thread.
void counters_sum(void *sum, const void *counters, size_t size);

// The lines of a histogram with these labels; its sum is of `unit`ths.
void histogram_expose(struct buf *out, const char *name, struct span labels, const double *bounds,
                      double unit, const struct histogram *h);

// Counts a value in a histogram of its kind.
void histogram_add_seconds(struct histogram *h, double seconds);
void histogram_add_bytes(struct histogram *h, size_t bytes);
