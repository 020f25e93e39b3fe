// SPDX-License-Identifier: MIT
// What is forgotten is in the file, so that nothing but a few look-ups is lost with it.
#include "store/sqlite_channels.h"
#include "base/mem.h"

void sqlite_channels_init(struct sqlite_channels *all, size_t max) {
  *all = (struct sqlite_channels){.max = max};
  map_init(&all->by_name, map_seed(all));
  list_init(&all->used);
  list_init(&all->over);
}

void sqlite_channels_drop(struct sqlite_channels *all, struct sqlite_channel *ch) {
  map_remove(&all->by_name, &ch->node);
  list_remove(&ch->used);
  list_remove(&ch->over);
  sqlite_channel_free(ch);
}

static struct sqlite_channel *oldest(struct sqlite_channels *all) {
  return container_of(all->used.next, struct sqlite_channel, used);
}

void sqlite_channels_clear(struct sqlite_channels *all) {
  while (!list_empty(&all->used)) sqlite_channels_drop(all, oldest(all));
}

void sqlite_channels_deinit(struct sqlite_channels *all) {
  sqlite_channels_clear(all);
  map_deinit(&all->by_name);
}

struct sqlite_channel *sqlite_channels_get(struct sqlite_channels *all, struct sqlite_db *db,
                                           struct span name, double wall) {
  struct map_node *node = map_find(&all->by_name, name);
  struct sqlite_channel *ch = node ? container_of(node, struct sqlite_channel, node) : NULL;
  if (!ch) {
    while (all->by_name.count >= all->max) sqlite_channels_drop(all, oldest(all));
    ch = sqlite_channel_load(db, name, wall);
    if (!ch) return NULL;
    map_insert(&all->by_name, &ch->node);
  }
  list_remove(&ch->used);
  list_append(&all->used, &ch->used);
  return ch;
}
