// SPDX-License-Identifier: MIT
// The log beside an SQLite file in WAL mode, where the file was removed or has lost its name to another: our
// log beside a stranger's file would be applied to that. The connection's thread.
#pragma once
#include <stdbool.h>
#include <sys/types.h>

struct sqlite3;

// Which file the log is: not to be told by its name alone later. Zero: none.
struct sqlite_wal {
  dev_t device;
  ino_t inode;
};

// The log's path: the caller's.
char *sqlite_wal_path(const char *path);

// Notes which file the log is now.
void sqlite_wal_note(struct sqlite_wal *w, struct sqlite3 *handle);

// Renames it, where its name still means the one that was noted, before the file is closed.
void sqlite_wal_take_away(const struct sqlite_wal *w, struct sqlite3 *handle);

// Whether another file, or none, has the name of the one that is open; false of one in memory.
bool sqlite_wal_has_lost_file(struct sqlite3 *handle);
