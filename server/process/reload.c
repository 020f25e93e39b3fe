// SPDX-License-Identifier: MIT
// A new generation is built by the builder, then started by all workers, then served by all: a failure
// anywhere gives it up everywhere, and the old one has never left. One at a time. Whoever asks meanwhile gets
// one more when it is over, so that the newest code is served at the end however many ask.
#include "process/reload.h"
#include <stdlib.h>
#include "base/mem.h"
#include "base/sources.h"
#include "process/worker.h"

// One worker's part.
struct starting {
  struct start start;
  struct list link;
  struct reload *reload;
};

static void on_built(struct job *j);

static void build(struct reload *r) {
  r->is_building = true;
  job_begin(&r->build.job, r->inbox, on_built, NULL);
  builder_start(r->builder, &r->build);
}

static void begin(struct reload *r) {
  r->attempts++;
  r->again = false;
  if (r->sources) sources_begin(r->sources);
  r->build.generation = r->generation + 1;
  build(r);
}

static void finish(struct reload *r) {
  char *error = r->error;
  r->error = NULL;
  r->build.shows_error = r->build.shows_error && error;
  r->on_done(r, error);
  free(error);
  if (r->again) begin(r);
}

static void keep_error(struct reload *r, char *error) {
  if (r->error) free(error);
  else r->error = error;
}

static void commit(struct reload *r) {
  r->generation = r->build.generation;
  for (size_t i = 0; i < r->count; i++) worker_commit(r->workers[i]);
  finish(r);
}

static void abandon(struct reload *r) {
  r->has_failed = true;
  for (size_t i = 0; i < r->count; i++) worker_abandon(r->workers[i]);
}

static void on_started(struct job *j) {
  struct starting *s = container_of(j, struct starting, start.job);
  struct reload *r = s->reload;
  list_remove(&s->link);
  if (s->start.error && !r->has_failed) abandon(r);
  keep_error(r, s->start.error);
  s->start.error = NULL;
  if (!list_empty(&r->starting)) return;
  if (!r->has_failed) commit(r);
  else if (!r->build.shows_error) finish(r);
  else r->build.error = xstrdup(r->error), build(r);
}

static void free_starting(struct job *j) {
  struct starting *s = container_of(j, struct starting, start.job);
  free(s->start.error);
  free(s);
}

static void start(struct reload *r, size_t worker) {
  struct starting *s = xcalloc(1, sizeof *s);
  s->reload = r;
  s->start.vm = r->build.vms[worker];
  r->build.vms[worker] = NULL;
  list_init(&s->link);
  list_append(&r->starting, &s->link);
  job_begin(&s->start.job, r->inbox, on_started, free_starting);
  worker_start(r->workers[worker], &s->start);
}

static void start_all(struct reload *r) {
  r->has_failed = false;
  for (size_t i = 0; i < r->count; i++) start(r, i);
}

static void on_built(struct job *j) {
  struct reload *r = container_of(j, struct reload, build.job);
  r->is_building = false;
  if (r->sources && !r->error) sources_end(r->sources, !r->build.error);
  keep_error(r, r->build.error);
  r->build.error = NULL;
  if (r->build.vms[0]) start_all(r);
  else finish(r);
}

void reload_init(struct reload *r, struct builder *builder, struct inbox *inbox,
                 const struct settings *settings, const char *app, struct worker **workers, size_t count) {
  *r = (struct reload){.builder = builder, .inbox = inbox, .workers = workers, .count = count};
  list_init(&r->starting);
  r->build = (struct build){.settings = settings,
                            .app = app,
                            .shows_error = settings->dev.on,
                            .services = xcalloc(count, sizeof *r->build.services),
                            .vms = xcalloc(count, sizeof *r->build.vms),
                            .count = count};
  for (size_t i = 0; i < count; i++) r->build.services[i] = worker_service(workers[i]);
}

unsigned reload_begin(struct reload *r) {
  if (reload_is_busy(r)) r->again = true;
  else begin(r);
  return r->attempts + r->again;
}

void reload_stop(struct reload *r) {
  r->again = false;
  if (!r->count) return; // it has never been made ready
  for (struct list *node; (node = list_shift(&r->starting));)
    job_abandon(&container_of(node, struct starting, link)->start.job);
}

void reload_deinit(struct reload *r) {
  reload_stop(r);
  for (size_t i = 0; i < r->count; i++)
    if (r->build.vms && r->build.vms[i]) builder_close(r->builder, r->build.vms[i]);
  free(r->build.services);
  free(r->build.vms);
  free(r->build.error);
  free(r->error);
}
