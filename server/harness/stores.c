// SPDX-License-Identifier: MIT
// What the channels and dictionaries of a server in memory are kept in, where its settings say so.
#include "event/broker.h"
#include "harness/server.h"
#include "script/lua_require.h"
#include "serve/kick.h"

static bool open_redis(struct harness *h, char **error) {
  const struct embedded *library = embedded_find("redis_library");
  const struct redis_store_config config = {
      .url = h->settings.store.url,
      .library = {library->bytes, (size_t)(library->end - library->bytes)},
      .broker = h->broker,
      .listener = kick_listener(h->process),
      .clock = &h->clock.clock};
  h->redis_store = redis_store_new(&config, error);
  return h->redis_store;
}

static bool open_sqlite(struct harness *h, char **error) {
  const struct sqlite_store_config config = {.path = strchr(h->settings.store.url, ':') + 1,
                                             .is_async = h->settings.store.is_async,
                                             .broker = h->broker,
                                             .shared = h->shared,
                                             .clock = &h->clock.clock};
  h->sqlite = sqlite_store_new(&config, error);
  return h->sqlite;
}

bool harness_open_store(struct harness *h, char **error) {
  return redis_store_knows(h->settings.store.url) ? open_redis(h, error) : open_sqlite(h, error);
}

static void close_redis(struct harness *h) {
  if (!h->redis_store) return;
  redis_store_stop(h->redis_store);
  redis_store_free(h->redis_store);
  h->redis_store = NULL;
}

static void close_sqlite(struct harness *h) {
  if (!h->sqlite) return;
  sqlite_store_stop(h->sqlite, 10);
  sqlite_store_free(h->sqlite);
  h->sqlite = NULL;
}

void harness_close_stores(struct harness *h) {
  close_sqlite(h);
  close_redis(h);
}

int server_told(lua_State *L) {
  size_t len;
  const char *message = luaL_checklstring(L, 2, &len);
  struct store_listener *l = &check_server(L)->process->kicks.listener;
  l->on_told(l, (struct span){message, len});
  return 0;
}
