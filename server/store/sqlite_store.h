// SPDX-License-Identifier: MIT
// The store in a file (SQLite): one thread has it, and carries out what waits in one transaction. Where that
// fails nothing of it has happened, as far as anybody was told, and publishing is unavailable until it
// succeeds again.
#pragma once
#include <pthread.h>
#include "base/clock.h"
#include "event/broker.h"
#include "event/shared.h"
#include "store/sqlite_channels.h"
#include "store/sqlite_db.h"
#include "store/sqlite_queue.h"
#include "store/store.h"

enum { STORE_SHARED_PAGES = 8 };

// Whose the file is.
enum sqlite_lease {
  STORE_OWNED,
  STORE_LENT, // to a process that is about to take this one's place: what is asked for waits
  STORE_GIVEN // that process has it: what is asked for is unavailable
};

struct sqlite_store_config {
  const char *path;
  bool is_async;   // answers before it is on the disk
  double patience; // seconds that another process may take to close the file
  struct broker *broker;
  struct shared_registry *shared;
  const struct clock *clock;
};

struct sqlite_store {
  struct store store;
  struct shared_keeper keeper;
  struct sqlite_store_config config; // its path is the store's own
  struct sqlite_queue queue;
  atomic_int lease;    // enum sqlite_lease
  struct sqlite_db db; // the thread's, as all that follows
  struct sqlite_channels channels;
  enum sqlite_fault fault; // since the last success
  double retry_at;         // when the file is to be opened again
  bool is_to_renew;        // what was given out is lost: the next transaction is to begin new epochs
  struct list done;        // carried out, and not committed yet
  struct shared_page {     // read in this transaction, for who asks for the same
    struct position at;
    const struct store_request *request;
  } pages[STORE_SHARED_PAGES];
  size_t page_count;
  int64_t swept;                             // the channel that was looked at last for what is too old
  double sweep_at, checkpoint_at, values_at; // when there is something to do beside
  bool has_failed_checkpoint;
  pthread_t thread;
  bool is_away;                // the file has been left to another process
  bool has_thread, has_values; // the latter: that dictionaries have what was kept of them
};

// Opens the file. NULL where it cannot be used, and why in *error (the caller's); a disk that is full or
// fails is tried again later. The broker's channels that are made from now on are kept in it.
struct sqlite_store *sqlite_store_new(const struct sqlite_store_config *config, char **error);

// Has a thread carry out what is asked; without one sqlite_store_work does. False where there can be none.
bool sqlite_store_start(struct sqlite_store *s);

// Whose the file is from now on. It is closed with all that has been carried out, and opened again where it
// is taken back. Any thread.
void sqlite_store_lease(struct sqlite_store *s, enum sqlite_lease lease);

// Carries out what waits, or does some of what is to be done beside; false where there is nothing to do now.
// The thread, or a spec in its place.
bool sqlite_store_work(struct sqlite_store *s);

// Takes nothing more, carries out what waits, and closes the file. False where that has not come about within
// the seconds. Any thread but its own, once.
bool sqlite_store_stop(struct sqlite_store *s, double seconds);

// Frees it, stopped; nobody asks any more.
void sqlite_store_free(struct sqlite_store *s);
