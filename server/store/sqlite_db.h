// SPDX-License-Identifier: MIT
// A store's file, by the one connection that there may be: it is locked for as long as it is open, in WAL
// mode, and checkpointed by hand. One thread has it at a time. A failure sticks (`rc`): what is asked then
// does nothing, until sqlite_db_rollback.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/span.h"
#include "store/sqlite_wal.h"

struct sqlite3;
struct sqlite3_stmt;

enum { SQLITE_DB_FULL = 13 }; // the result code: no room for more

enum sqlite_statement {
  DB_BEGIN,
  DB_COMMIT,
  DB_ROLLBACK,
  DB_META_GET,
  DB_META_SET,
  DB_CHANNEL_FIND,
  DB_CHANNEL_ADD,
  DB_CHANNEL_LIMITS,
  DB_CHANNEL_FLOOR,
  DB_CHANNEL_FINISH,
  DB_CHANNEL_REMOVE,
  DB_CHANNEL_DELETE,
  DB_CHANNEL_NEXT,
  DB_EPOCHS,
  DB_EPOCH_ADD,
  DB_EPOCHS_DELETE,
  DB_EVENT_ADD,
  DB_EVENT_FIRST,
  DB_EVENT_LAST,
  DB_EVENTS,
  DB_EVENTS_COUNT,
  DB_EVENTS_WALK,
  DB_EVENTS_DELETE,
  DB_VALUES,
  DB_VALUE_SET,
  DB_VALUE_DELETE,
  DB_COUNT_CHANNELS,
  DB_COUNT_EVENTS,
  DB_COUNT_VALUES,
  DB_EVENT_FROM_END,
  DB_STATEMENTS
};

// What is wrong, as far as that matters for what is to be done.
enum sqlite_fault {
  FAULT_NONE,
  FAULT_FULL,      // no room: goes on by itself once there is some
  FAULT_READ_ONLY, // the same of the right to write
  FAULT_IN_USE,    // another process has the file
  FAULT_NEWER,     // written by a newer version
  FAULT_FOREIGN,   // a file of something else
  FAULT_MISSING,   // cannot be opened or made
  FAULT_CORRUPT,   // to be put aside
  FAULT_REPLACED,  // another file has its name, or none
  FAULT_FAILED     // what was committed last may be there or not: to be opened anew
};

struct sqlite_db {
  struct sqlite3 *handle; // NULL: not open
  struct sqlite3_stmt *statements[DB_STATEMENTS];
  char *path;
  int rc;                           // of what has failed first; 0: nothing
  int wal_frames;                   // that are not checkpointed
  uint64_t epoch_last, epoch_least; // given out; those before are at an end
  struct sqlite_wal wal;
  bool is_made;                 // there was no file
  bool is_async, was_clean;     // its run; how the one before ended
  int commits_to_fail;          // for specs
  unsigned long appended_total; // events, committed or not
};

// How it is opened.
struct sqlite_run {
  bool is_async;   // what is given out may not be committed yet
  bool is_renewed; // every channel is to go on in a new epoch
  double wall;     // seconds since 1970
};

// Opens the file, makes it where there is none; what else has to be said of a failure is in *why (owned by
// the caller; NULL after FAULT_NONE).
enum sqlite_fault sqlite_db_open(struct sqlite_db *db, const char *path, const struct sqlite_run *run,
                                 char **why);

// Closes it; clean: nothing is missing of what it was given. A file that was replaced is left as it is.
void sqlite_db_close(struct sqlite_db *db, bool is_clean);

// Closes it, and removes it where it was made when it was opened.
void sqlite_db_discard(struct sqlite_db *db);

// Moves the file and what belongs to it out of the way, once it is closed: the new name, owned by the caller.
char *sqlite_db_put_aside(const char *path, const char *as, double wall);

// The class of a result code; a word for scripts.
enum sqlite_fault sqlite_fault_of(int rc);
const char *sqlite_fault_word(enum sqlite_fault fault);

// What SQLite says of the failure, borrowed until the next call; "": nothing.
const char *sqlite_db_message(const struct sqlite_db *db);

// Whether another file, or none, has its name.
bool sqlite_db_has_moved(struct sqlite_db *db);

// Binds values and begins: "i" an int64_t, "d" a double, "t" and "b" a struct span (text, bytes); "n" and "N"
// nothing, in the place of an int64_t and of a double.
void sqlite_db_bind(struct sqlite_db *db, enum sqlite_statement which, const char *types, ...);

// The next row: false at the end, or where it has failed; the statement is over then.
bool sqlite_db_row(struct sqlite_db *db, enum sqlite_statement which);

// Ends a statement before its last row.
void sqlite_db_end(struct sqlite_db *db, enum sqlite_statement which);

// Of the present row. Spans are borrowed until the next.
int64_t sqlite_db_int(const struct sqlite_db *db, enum sqlite_statement which, int column);
double sqlite_db_double(const struct sqlite_db *db, enum sqlite_statement which, int column);
bool sqlite_db_is_null(const struct sqlite_db *db, enum sqlite_statement which, int column);
struct span sqlite_db_bytes(const struct sqlite_db *db, enum sqlite_statement which, int column);

// A statement without rows. False where something has failed.
bool sqlite_db_run(struct sqlite_db *db, enum sqlite_statement which);

// Transactions: begin and commit are false where something has failed.
bool sqlite_db_begin(struct sqlite_db *db);
bool sqlite_db_commit(struct sqlite_db *db);
void sqlite_db_rollback(struct sqlite_db *db);

// Moves what is committed from the WAL into the file; `truncate`: and makes the WAL empty. False where it
// failed.
bool sqlite_db_checkpoint(struct sqlite_db *db, bool truncate);

// For specs: any statements, between two transactions: NULL, or what SQLite says. The next commits fail.
const char *sqlite_db_execute(struct sqlite_db *db, const char *sql);
void sqlite_db_fail_commits(struct sqlite_db *db, int count);

// A number kept by name, 0 where there is none; within a transaction.
int64_t sqlite_db_meta(struct sqlite_db *db, const char *name);
void sqlite_db_set_meta(struct sqlite_db *db, const char *name, int64_t value);

// An epoch later than all before, whatever the clock says. It counts once it is kept (sqlite_db_keep_epoch).
uint64_t sqlite_db_next_epoch(struct sqlite_db *db, double wall);
void sqlite_db_keep_epoch(struct sqlite_db *db);

// Every channel is to go on in a new epoch; within a transaction.
void sqlite_db_renew(struct sqlite_db *db, double wall);
