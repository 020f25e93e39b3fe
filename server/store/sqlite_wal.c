// SPDX-License-Identifier: MIT
#include "store/sqlite_wal.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"

char *sqlite_wal_path(const char *path) { return xasprintf("%s-wal", path); }

// As SQLite names it, links resolved: the caller's; of a database in memory it names nothing.
static char *wal_of(struct sqlite3 *handle) {
  const char *path = sqlite3_db_filename(handle, "main");
  return path && *path ? sqlite_wal_path(path) : xstrdup("");
}

void sqlite_wal_note(struct sqlite_wal *w, struct sqlite3 *handle) {
  struct stat st;
  char *wal = wal_of(handle);
  if (stat(wal, &st) == 0) *w = (struct sqlite_wal){st.st_dev, st.st_ino};
  free(wal);
}

// The index of the log goes with it: other connections of the process may still have it mapped, and one to
// the stranger's file would cut it short under them.
void sqlite_wal_take_away(const struct sqlite_wal *w, struct sqlite3 *handle) {
  struct stat st;
  char *wal = wal_of(handle);
  if (stat(wal, &st) == 0 && st.st_dev == w->device && st.st_ino == w->inode) {
    char *aside = xasprintf("%s.replaced", wal),
         *index = xasprintf("%s-shm", sqlite3_db_filename(handle, "main"));
    rename(wal, aside);
    unlink(index);
    free(aside), free(index);
  }
  free(wal);
}

bool sqlite_wal_has_lost_file(struct sqlite3 *handle) {
  int moved = 0;
  sqlite3_file_control(handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return moved;
}
