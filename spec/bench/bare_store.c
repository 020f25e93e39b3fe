// SPDX-License-Identifier: MIT
// bare_store FILE EVENTS BATCH: what SQLite alone makes of it: events of 64 bytes, to 100 channels in turn, a
// transaction for each batch that is on the disk before the next begins. Prints events a second.
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(sqlite3 *db, int rc) {
  if (rc == SQLITE_OK || rc == SQLITE_DONE) return;
  fprintf(stderr, "%s\n", sqlite3_errmsg(db));
  exit(1);
}

static void run(sqlite3 *db, const char *sql) { check(db, sqlite3_exec(db, sql, NULL, NULL, NULL)); }

int main(int argc, char **argv) {
  sqlite3 *db;
  sqlite3_stmt *insert;
  long events = argc > 2 ? atol(argv[2]) : 0, batch = argc > 3 ? atol(argv[3]) : 1, numbers[100] = {0};
  char bytes[100];
  memset(bytes, 'x', sizeof bytes); // the id's line and the rest of the wire around 64
  check(NULL, sqlite3_open(argv[1], &db));
  run(db, "pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = full;"
          "pragma wal_autocheckpoint = 0; pragma secure_delete = off; pragma cache_size = -65536;"
          "create table event (k integer primary key, at integer not null, key integer, b blob not null)");
  check(db, sqlite3_prepare_v2(db, "insert into event values (?, ?, null, ?)", -1, &insert, NULL));
  double begin = seconds();
  for (long i = 0; i < events; i++) {
    if (i % batch == 0) run(db, i ? "commit; begin immediate" : "begin immediate");
    sqlite3_bind_int64(insert, 1, (i % 100) << 35 | ++numbers[i % 100]);
    sqlite3_bind_int64(insert, 2, 1700000000000 + i);
    sqlite3_bind_blob(insert, 3, bytes, sizeof bytes, SQLITE_STATIC);
    sqlite3_step(insert);
    check(db, sqlite3_reset(insert));
    if (i % (1 << 17) == 0) sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
  }
  run(db, "commit");
  printf("%.0f\n", (double)events / (seconds() - begin));
  sqlite3_finalize(insert);
  return sqlite3_close(db);
}
