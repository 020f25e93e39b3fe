// SPDX-License-Identifier: MIT
// What the connections of one worker share. Worker thread only, but for the counters, which any thread may
// read.
#pragma once
#include <stdatomic.h>
#include <stdint.h>
#include "base/map.h"
#include "event/gzip.h"
#include "http/proto.h"
#include "http/refusal.h"
#include "loop/loop.h"
#include "loop/pool.h"
#include "loop/tls_server.h"
#include "serve/admission.h"
#include "serve/metrics.h"
#include "serve/pages.h"
#include "serve/settings.h"
#include "store/store.h"

struct broker;
struct file_watcher;
struct fetcher;
struct generations;
struct shared_registry;
struct sources;
struct groups;
struct inbox;
struct processes;
struct redis_home;
struct route_figures;
struct service;
struct stream;
struct transport;

// Upward: what the layer above does with a request.
struct service_ops {
  void (*on_request)(struct service *s, struct stream *stream); // sets stream->ops and its owner
  void (*on_end)(struct stream *stream, int reason); // of every stream, enum close_reason; NULL: nobody asks
  // What an opened transport's peer speaks; NULL, or without it: HTTP/1.
  struct proto *(*new_proto)(struct transport *t, const struct proto_sink *sink,
                             const struct proto_limits *limits);
};

// What the worker's process knows; written by its main thread, but for the admission.
struct process_state {
  struct admission admission;
  struct metrics metrics;
  atomic_bool is_loading, is_draining; // not serving yet, or no longer
  atomic_uint generation;              // that is served; written by workers, as they begin to
  atomic_ulong reloads_total, reloads_failed_total;
  struct tls_keys tls_keys; // of all workers
  struct groups *groups;    // of the programs that scripts have started
  struct sources *sources;  // where the application's files are watched; else NULL
  struct kicks {
    struct store_listener listener; // of other processes'
    uint64_t self;                  // by which it knows its own
  } kicks;
};

// What would hold up the loop. Each kind has a pool of threads of its own.
enum work_kind {
  WORK_NAMES,
  WORK_FILES,
  WORK_HASHES,
  WORK_OFFLOAD,
  WORK_DATABASES,
  WORK_CANCELS,
  WORK_KINDS
};

struct service {
  struct loop *loop;
  const struct settings *settings;
  const struct service_ops *ops;
  struct inbox *inbox;            // of the loop; set by who makes the service, as is
  struct broker *broker;          // the process's channels
  struct shared_registry *shared; // the process's dictionaries
  struct process_state *process;
  struct process_state *subject; // what is looked after here, where that is another; else NULL
  struct processes *processes;   // the worker's programs; NULL where none can be started
  struct pool pools[WORK_KINDS];
  atomic_size_t work_bytes;          // that wait for a thread, and that have come of it and are not taken
  struct file_watcher *file_watcher; // of the loop; set by who makes the service
  struct fetcher *fetcher;           // of requests to other servers
  struct redis_home *redis_home;     // of connections to Redis
  struct generations *generations;   // of the worker's Lua states, which set it; NULL: there are none
  struct proto_limits limits;
  struct pages pages; // of the past that feeds have asked stores for
  struct map tags;    // of its streams, by name
  struct tls_server tls;
  struct list conns;
  struct list dirty;   // connections with something to write
  struct list late;    // those that an earlier turn had no time for
  struct list leaving; // those whose last bytes go before others'
  struct list closed;  // to be freed
  struct loop_hook flush_hook;
  struct slab slab; // streams, and events that one of them alone sends
  struct event *last_chunk;
  struct event *gzip_end; // stands for the end of any compressed body, of which it has the length
  struct gzip_tools gzip; // set by who makes the service, but for what they make themselves
  struct counters counters;
  struct route_figures **routes; // by number; behind the metrics' lock
  struct list counted;           // in the metrics, where whoever makes the service has added it
  bool draining;
  unsigned left_generation; // the newest whose streams have been told to end
  char date[32];
  long date_second;
  unsigned seed;          // of the jitter
  struct refusal refusal; // what a protocol has just refused
  struct buf head;        // where responses' heads are put together
};

// Whose workers, numbers and streams those are told of who look after the server here.
static inline struct process_state *service_subject(const struct service *s) {
  return s->subject ? s->subject : s->process;
}

// Makes the service ready, as yet without connections.
void service_init(struct service *s, struct loop *loop, const struct settings *settings,
                  const struct service_ops *ops);

// Makes its pools ready, once its inbox is set. Without threads the loop's own does their work, in a later
// turn.
void service_open_pools(struct service *s, bool with_threads);

// Ends them: waits for the work that runs. The service's thread, once no task is left to wait for any.
void service_close_pools(struct service *s);

// Frees what it holds; its connections are closed.
void service_deinit(struct service *s);

// Counts what this limit has refused.
static inline void service_refused(struct service *s, enum limit limit) {
  counter_add(&s->counters.refused_total[limit], 1);
}

// The value of the Date field (RFC 9110 5.6.7), borrowed until the next call.
struct span service_date(struct service *s);

// A random number from 0 to 1.
double service_random(struct service *s);
