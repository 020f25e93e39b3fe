// SPDX-License-Identifier: MIT
// What a process counts, and the one table of what that is called: spate.stats(), spate status and whoever is
// added to them walk it. Each worker counts for itself, without a lock; whoever asks sums.
#pragma once
#include <pthread.h>
#include <stdint.h>
#include "base/counter.h"
#include "base/list.h"
#include "loop/tls_server.h"

struct broker;
struct process_state;
struct service;
struct shared_registry;

// Of one worker, who alone writes, by counter_add; any thread may read.
struct counters {
  uint64_t connections_open, connections_total;
  uint64_t connections_refused_total;     // one too many
  uint64_t streams_open, streams_total;   // event streams
  uint64_t requests_total, refused_total; // refused: not HTTP as it should be
  uint64_t events_total, bytes_total;     // handed to clients
  uint64_t slow_total;                    // clients cut because they took too little, or fell behind
  uint64_t dropped_total;                 // events that a slow subscriber did not get
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

// Who counts in a process.
struct metrics {
  pthread_mutex_t lock;
  struct list workers, states; // behind the lock, as is
  struct counters past;        // of workers that have ended
};

// All of it at one moment.
struct figures {
  struct counters counters;
  uint64_t generation, generations, reloads_total, reloads_failed_total;
  uint64_t channels, channel_bytes, published_total, full_total, lost_total, shared_bytes;
  uint64_t store_waiting, store_bytes, store_kept_total, store_commits_total, store_trimmed_total;
  uint64_t store_refused_total, store_failed_total;
  uint64_t tasks, lua_bytes, offload_states;
};

struct metric {
  const char *name, *help;
  enum metric_type { METRIC_GAUGE, METRIC_COUNTER } type;
  size_t offset; // of its uint64_t in struct figures
};

// The table; its end has no name.
extern const struct metric metrics_table[];

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
