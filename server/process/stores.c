// SPDX-License-Identifier: MIT
// A store that does not come to its end, as on a disk that does not answer, is left where it is.
#include "process/stores.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "script/lua_require.h"

static const double STOP_SECONDS = 10;

// Says why it cannot be: of a file with its path, of a URL what is wrong with it.
static bool refuse(const char *what, char *error) {
  fprintf(stderr, "spate: %s %s\n", what, error ? error : "cannot have a thread: raise `ulimit -u`");
  free(error);
  return false;
}

static bool open_redis(struct stores *s, const char *url, struct broker *b, struct store_listener *listener) {
  char *error = NULL;
  const struct embedded *library = embedded_find("redis_library");
  const struct redis_store_config config = {
      .url = url,
      .library = {library->bytes, (size_t)(library->end - library->bytes)},
      .broker = b,
      .listener = listener,
      .clock = clock_system()};
  s->redis = redis_store_new(&config, &error);
  return s->redis && redis_store_start(s->redis) ? true : refuse("store:", error);
}

static bool open_sqlite(struct stores *s, const struct settings *settings, struct broker *b,
                        struct shared_registry *shared, bool is_heir) {
  char *error = NULL;
  const struct sqlite_store_config config = {.path = strchr(settings->store.url, ':') + 1,
                                             .is_async = settings->store.is_async,
                                             .patience = is_heir ? STOP_SECONDS : 0,
                                             .broker = b,
                                             .shared = shared,
                                             .clock = clock_system()};
  s->sqlite = sqlite_store_new(&config, &error);
  return s->sqlite && sqlite_store_start(s->sqlite) ? true : refuse("store", error);
}

bool stores_open(struct stores *s, const struct settings *settings, struct broker *b,
                 struct shared_registry *shared, struct store_listener *listener, bool is_heir) {
  const char *url = settings->store.url;
  if (!*url) return true;
  return redis_store_knows(url) ? open_redis(s, url, b, listener)
                                : open_sqlite(s, settings, b, shared, is_heir);
}

void stores_lend(struct stores *s) {
  if (s->sqlite) sqlite_store_lease(s->sqlite, STORE_LENT);
}

void stores_take_back(struct stores *s) {
  if (s->sqlite) sqlite_store_lease(s->sqlite, STORE_OWNED);
}

void stores_give(struct stores *s) {
  if (s->sqlite) sqlite_store_lease(s->sqlite, STORE_GIVEN);
}

void stores_stop(struct stores *s) {
  if (s->redis) redis_store_stop(s->redis);
  if (!s->sqlite || sqlite_store_stop(s->sqlite, STOP_SECONDS)) return;
  log_message(LOG_ERROR, "the store's disk does not answer: what was published last may not be kept");
  log_stop();
  _exit(EXIT_FAILURE);
}

void stores_close(struct stores *s) {
  stores_stop(s);
  if (s->sqlite) sqlite_store_free(s->sqlite);
  if (s->redis) redis_store_free(s->redis);
  s->sqlite = NULL, s->redis = NULL;
}
