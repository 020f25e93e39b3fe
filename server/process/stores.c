// SPDX-License-Identifier: MIT
// A store that does not come to its end, as on a disk that does not answer, is left where it is.
#include "process/stores.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"

static const double STOP_SECONDS = 10;

bool stores_open(struct stores *s, const struct settings *settings, struct broker *b,
                 struct shared_registry *shared) {
  char *error = NULL;
  if (!*settings->store.url) return true;
  const struct sqlite_store_config config = {.path = strchr(settings->store.url, ':') + 1,
                                             .is_async = settings->store.is_async,
                                             .broker = b,
                                             .shared = shared,
                                             .clock = clock_system()};
  s->sqlite = sqlite_store_new(&config, &error);
  if (s->sqlite && sqlite_store_start(s->sqlite)) return true;
  fprintf(stderr, "spate: store %s\n", error ? error : "has no thread: raise `ulimit -u`");
  free(error);
  return false;
}

void stores_stop(struct stores *s) {
  if (!s->sqlite || sqlite_store_stop(s->sqlite, STOP_SECONDS)) return;
  log_message(LOG_ERROR, "the store's disk does not answer: what was published last may not be kept");
  log_stop();
  _exit(EXIT_FAILURE);
}

void stores_close(struct stores *s) {
  if (!s->sqlite) return;
  stores_stop(s);
  sqlite_store_free(s->sqlite);
  s->sqlite = NULL;
}
