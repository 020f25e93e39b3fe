// SPDX-License-Identifier: MIT
// The store that the settings name, for as long as the process runs. Main thread.
#pragma once
#include "client/redis_store.h"
#include "event/broker.h"
#include "event/shared.h"
#include "serve/settings.h"
#include "store/sqlite_store.h"

struct stores {
  struct sqlite_store *sqlite; // NULL: none
  struct redis_store *redis;   // likewise
};

// Opens it, where one is named, for the broker's channels and the dictionaries. False where it cannot be
// used: why is said on stderr. `listener` is told what other processes say by it. `is_heir`: the process that
// has its file is about to leave that.
bool stores_open(struct stores *s, const struct settings *settings, struct broker *b,
                 struct shared_registry *shared, struct store_listener *listener, bool is_heir);

// A process that is to take this one's place wants the file, does not come to serve, or serves.
void stores_lend(struct stores *s);
void stores_take_back(struct stores *s);
void stores_give(struct stores *s);

// What was published is kept; nothing more is. Harmless when done twice.
void stores_stop(struct stores *s);

// The same, and frees it; nobody uses it any more.
void stores_close(struct stores *s);
