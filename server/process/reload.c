// SPDX-License-Identifier: MIT
// At most one build at a time. Whoever asks meanwhile gets one more when it is over, so that the newest code
// is served at the end however many ask.
#include "process/reload.h"
#include <stdlib.h>
#include "base/mem.h"
#include "base/sources.h"
#include "process/worker.h"

static void start(struct reload *r) {
  r->attempts++;
  r->is_building = true, r->again = false;
  if (r->sources) sources_begin(r->sources);
  r->build.generation = r->generation + 1;
  builder_start(r->builder, &r->build);
}

static void hand_out(struct reload *r) {
  r->generation = r->build.generation;
  for (size_t i = 0; i < r->count; i++) worker_swap(r->workers[i], r->build.vms[i]), r->build.vms[i] = NULL;
}

static void on_built(struct message *m) {
  struct reload *r = container_of(m, struct reload, build.message);
  char *error = r->build.error;
  r->build.error = NULL, r->is_building = false;
  if (r->build.vms[0]) hand_out(r);
  r->build.shows_error = r->build.shows_error && error;
  if (r->sources) sources_end(r->sources, !error);
  r->on_done(r, error);
  free(error);
  if (r->again) start(r);
}

void reload_init(struct reload *r, struct builder *builder, struct inbox *inbox,
                 const struct settings *settings, const char *app, struct worker **workers, size_t count) {
  *r = (struct reload){.builder = builder, .workers = workers, .count = count};
  r->build = (struct build){.message = {.deliver = on_built},
                            .done = inbox,
                            .settings = settings,
                            .app = app,
                            .shows_error = settings->dev.on,
                            .services = xcalloc(count, sizeof *r->build.services),
                            .vms = xcalloc(count, sizeof *r->build.vms),
                            .count = count};
  list_init(&r->build.message.link);
  for (size_t i = 0; i < count; i++) r->build.services[i] = worker_service(workers[i]);
}

unsigned reload_begin(struct reload *r) {
  if (r->is_building) r->again = true;
  else start(r);
  return r->attempts + r->again;
}

void reload_deinit(struct reload *r) {
  for (size_t i = 0; i < r->count; i++)
    if (r->build.vms && r->build.vms[i]) builder_close(r->builder, r->build.vms[i]);
  free(r->build.services);
  free(r->build.vms);
  free(r->build.error);
}
