// SPDX-License-Identifier: MIT
// What is the same for all answers of a second, such as their date, is made once a second.
#include "serve/service.h"
#include "serve/routes.h"
#include <stdlib.h>
#include <time.h>
#include "base/mem.h"
#include "http/http2.h"

static const double IDLE_SECONDS = 30;

// Names and files are waited for, hashes use a processor and 16 MB each. Each database in a file that is
// open has one thread at most. What tells servers of databases to stop blocks for as long as these stand
// still. The settings say how much may be offloaded.
static const struct pool_limits pool_limits[WORK_KINDS] = {
    [WORK_NAMES] = {.threads = 4, .queued = 1000}, [WORK_FILES] = {.threads = 4, .queued = 1000},
    [WORK_HASHES] = {.threads = 2, .queued = 100}, [WORK_DATABASES] = {.threads = 64, .queued = 64},
    [WORK_CANCELS] = {.threads = 4, .queued = 16},
};

static const double SLOWEST = 512; // bytes per second that a client is to take while more wait

void service_init(struct service *s, struct loop *loop, const struct settings *settings,
                  const struct service_ops *ops) {
  *s = (struct service){.loop = loop,
                        .settings = settings,
                        .ops = ops,
                        .limits = {.head = settings->limits.head,
                                   .target = settings->limits.target,
                                   .fields = settings->limits.fields,
                                   .chunk_extensions = settings->limits.chunk_extensions,
                                   .fair_part = SLOWEST * settings->timeouts.send,
                                   .http2 = {.on = settings->http2.on && http2_library_version(),
                                             .streams = settings->http2.streams,
                                             .window = settings->http2.window,
                                             .connection_window = settings->http2.connection_window,
                                             .resets = settings->http2.resets,
                                             .frames = settings->http2.frames}},
                        .last_chunk = event_of_bytes(SPAN("0\r\n\r\n")),
                        .gzip_end = gzip_end(&(struct gzip){.run_from = 0}),
                        .gzip = {.window_bits = settings_window_bits(settings)},
                        .date_second = -1,
                        .seed = (unsigned)(clock_wall(loop->clock) * 1e6)};
  map_init(&s->tags, map_seed(s));
  s->routes = xcalloc(ROUTES_MAX, sizeof *s->routes);
  s->routes[0] = xcalloc(1, sizeof *s->routes[0]);
  slab_init(&s->slab);
  pages_init(&s->pages, loop);
  list_init(&s->conns);
  list_init(&s->dirty);
  list_init(&s->leaving);
  list_init(&s->late);
  list_init(&s->closed);
  list_init(&s->flush_hook.link);
}

void service_open_pools(struct service *s, bool with_threads) {
  for (size_t i = 0; i < WORK_KINDS; i++) {
    struct pool_limits limits = pool_limits[i];
    limits.idle = IDLE_SECONDS;
    if (i == WORK_OFFLOAD)
      limits.threads = (unsigned)s->settings->offload.threads,
      limits.queued = (unsigned)s->settings->offload.queue;
    if (!with_threads) limits.threads = 0;
    pool_init(&s->pools[i], s->inbox, limits);
  }
}

void service_close_pools(struct service *s) {
  for (size_t i = 0; i < WORK_KINDS; i++) pool_deinit(&s->pools[i]);
}

void service_deinit(struct service *s) {
  pages_deinit(&s->pages);
  event_unref(s->last_chunk);
  slab_deinit(&s->slab);
  map_deinit(&s->tags);
  routes_free_figures(s);
  event_unref(s->gzip_end);
  deflater_free(s->gzip.alone);
  buf_deinit(&s->head);
}

struct span service_date(struct service *s) {
  double wall = clock_wall(s->loop->clock);
  if ((long)wall != s->date_second) {
    struct tm tm;
    s->date_second = (long)wall;
    gmtime_r(&(time_t){s->date_second}, &tm);
    strftime(s->date, sizeof s->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
  }
  return (struct span){s->date, 29};
}

double service_random(struct service *s) { return rand_r(&s->seed) / (double)RAND_MAX; }
