// SPDX-License-Identifier: MIT
// One connection writes, reads and checkpoints: SQLite before 3.51.3 loses commits where a second one does.
// Nothing here may open the file by another descriptor: closing that would let go of the lock.
#include "store/sqlite_db.h"
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/util.h"
#include "store/sqlite_schema.h"

_Static_assert(SQLITE_DB_FULL == SQLITE_FULL, "the code of SQLite");

enum sqlite_fault sqlite_fault_of(int rc) {
  switch (rc & 0xff) {
  case SQLITE_OK: return FAULT_NONE;
  case SQLITE_FULL: return FAULT_FULL;
  case SQLITE_READONLY:
  case SQLITE_PERM:
  case SQLITE_AUTH: return FAULT_READ_ONLY;
  case SQLITE_BUSY:
  case SQLITE_LOCKED: return FAULT_IN_USE;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB: return FAULT_CORRUPT;
  case SQLITE_CANTOPEN: return FAULT_MISSING;
  default: return FAULT_FAILED;
  }
}

const char *sqlite_fault_word(enum sqlite_fault fault) {
  static const char *const words[] = {"",        "full",    "read-only", "in use",   "newer",
                                      "foreign", "missing", "corrupt",   "replaced", "failed"};
  return words[fault];
}

const char *sqlite_db_message(const struct sqlite_db *db) { return db->rc ? sqlite3_errstr(db->rc) : ""; }

static bool note(struct sqlite_db *db, int rc) {
  if (rc != SQLITE_OK && rc != SQLITE_ROW && rc != SQLITE_DONE && !db->rc) db->rc = rc;
  return !db->rc;
}

static bool execute(struct sqlite_db *db, const char *sql) {
  return !db->rc && note(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL));
}

static void bind_one(struct sqlite_db *db, sqlite3_stmt *s, int i, char type, va_list *values) {
  struct span text;
  switch (type) {
  case 'i': note(db, sqlite3_bind_int64(s, i, va_arg(*values, int64_t))); break;
  case 'd': note(db, sqlite3_bind_double(s, i, va_arg(*values, double))); break;
  case 't':
    text = va_arg(*values, struct span);
    note(db, sqlite3_bind_text(s, i, text.bytes, (int)text.len, SQLITE_STATIC));
    break;
  case 'b':
    text = va_arg(*values, struct span);
    note(db, sqlite3_bind_blob(s, i, text.len ? text.bytes : "", (int)text.len, SQLITE_STATIC));
    break;
  default:
    if (type == 'n') (void)va_arg(*values, int64_t);
    else (void)va_arg(*values, double);
    note(db, sqlite3_bind_null(s, i));
    break;
  }
}

void sqlite_db_bind(struct sqlite_db *db, enum sqlite_statement which, const char *types, ...) {
  va_list values;
  if (db->rc) return;
  va_start(values, types);
  for (int i = 0; types[i]; i++) bind_one(db, db->statements[which], i + 1, types[i], &values);
  va_end(values);
}

void sqlite_db_end(struct sqlite_db *db, enum sqlite_statement which) {
  sqlite3_reset(db->statements[which]);
}

bool sqlite_db_row(struct sqlite_db *db, enum sqlite_statement which) {
  if (db->rc) return false;
  int rc = sqlite3_step(db->statements[which]);
  if (rc == SQLITE_ROW) return true;
  note(db, rc);
  sqlite_db_end(db, which);
  return false;
}

bool sqlite_db_run(struct sqlite_db *db, enum sqlite_statement which) {
  while (sqlite_db_row(db, which)) continue;
  return !db->rc;
}

int64_t sqlite_db_int(const struct sqlite_db *db, enum sqlite_statement which, int column) {
  return sqlite3_column_int64(db->statements[which], column);
}

double sqlite_db_double(const struct sqlite_db *db, enum sqlite_statement which, int column) {
  return sqlite3_column_double(db->statements[which], column);
}

bool sqlite_db_is_null(const struct sqlite_db *db, enum sqlite_statement which, int column) {
  return sqlite3_column_type(db->statements[which], column) == SQLITE_NULL;
}

struct span sqlite_db_bytes(const struct sqlite_db *db, enum sqlite_statement which, int column) {
  const char *bytes = sqlite3_column_blob(db->statements[which], column);
  return (struct span){bytes ? bytes : "", (size_t)sqlite3_column_bytes(db->statements[which], column)};
}

bool sqlite_db_begin(struct sqlite_db *db) { return sqlite_db_run(db, DB_BEGIN); }

bool sqlite_db_commit(struct sqlite_db *db) { return sqlite_db_run(db, DB_COMMIT); }

void sqlite_db_rollback(struct sqlite_db *db) {
  for (int i = 0; i < DB_STATEMENTS; i++) sqlite3_reset(db->statements[i]);
  db->rc = 0;
  if (db->handle && !sqlite3_get_autocommit(db->handle)) sqlite_db_run(db, DB_ROLLBACK);
  db->rc = 0;
}

int64_t sqlite_db_meta(struct sqlite_db *db, const char *name) {
  int64_t value = 0;
  sqlite_db_bind(db, DB_META_GET, "t", span_of(name));
  if (sqlite_db_row(db, DB_META_GET)) {
    value = sqlite_db_int(db, DB_META_GET, 0);
    sqlite_db_end(db, DB_META_GET);
  }
  return value;
}

void sqlite_db_set_meta(struct sqlite_db *db, const char *name, int64_t value) {
  sqlite_db_bind(db, DB_META_SET, "ti", span_of(name), value);
  sqlite_db_run(db, DB_META_SET);
}

uint64_t sqlite_db_next_epoch(struct sqlite_db *db, double wall) {
  uint64_t now = (uint64_t)(wall * 1e6);
  return db->epoch_last = MAX(now, db->epoch_last + 1);
}

void sqlite_db_keep_epoch(struct sqlite_db *db) { sqlite_db_set_meta(db, "epoch", (int64_t)db->epoch_last); }

void sqlite_db_renew(struct sqlite_db *db, double wall) {
  db->epoch_least = sqlite_db_next_epoch(db, wall);
  sqlite_db_set_meta(db, "least", (int64_t)db->epoch_least);
  sqlite_db_keep_epoch(db);
}

static int on_commit(void *arg, sqlite3 *handle, const char *name, int frames) {
  struct sqlite_db *db = arg;
  (void)handle, (void)name;
  db->wal_frames = frames;
  return SQLITE_OK;
}

bool sqlite_db_checkpoint(struct sqlite_db *db, bool truncate) {
  int left = 0, done = 0;
  if (db->rc) return false;
  int how = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
  int rc = sqlite3_wal_checkpoint_v2(db->handle, NULL, how, &left, &done);
  if (rc == SQLITE_OK) db->wal_frames = left - done;
  return rc == SQLITE_OK;
}

const char *sqlite_db_execute(struct sqlite_db *db, const char *sql) {
  return sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? NULL : sqlite3_errmsg(db->handle);
}

static int refuse_commit(void *arg) {
  struct sqlite_db *db = arg;
  return db->commits_to_fail > 0 && db->commits_to_fail-- > 0;
}

void sqlite_db_fail_commits(struct sqlite_db *db, int count) {
  db->commits_to_fail = count;
  sqlite3_commit_hook(db->handle, refuse_commit, db);
}

bool sqlite_db_has_moved(struct sqlite_db *db) { return sqlite_wal_has_lost_file(db->handle); }

static int64_t pragma_of(struct sqlite_db *db, const char *sql) {
  sqlite3_stmt *s = NULL;
  int64_t value = -1;
  if (!db->rc && note(db, sqlite3_prepare_v2(db->handle, sql, -1, &s, NULL))) {
    int rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) value = sqlite3_column_int64(s, 0);
    note(db, rc);
  }
  sqlite3_finalize(s);
  return value;
}

// Whether the first row's text is that.
static bool answers(struct sqlite_db *db, const char *sql, const char *text) {
  sqlite3_stmt *s = NULL;
  bool ok = note(db, sqlite3_prepare_v2(db->handle, sql, -1, &s, NULL)) && sqlite3_step(s) == SQLITE_ROW &&
            !strcmp((const char *)sqlite3_column_text(s, 0), text);
  sqlite3_finalize(s);
  return ok;
}

static bool is_zero(const unsigned char *bytes, size_t len) {
  while (len && !bytes[len - 1]) len--;
  return !len;
}

enum header_kind { HEADER_ZERO, HEADER_TEXT, HEADER_DATABASE, HEADER_STORE };

// What the file begins with. It is read by SQLite's descriptor; what is behind the file's end is zero.
static enum header_kind header_of(struct sqlite_db *db) {
  static const char magic[16] = "SQLite format 3";
  enum { HEADER_BYTES = 100, APPLICATION_AT = 68 };
  unsigned char header[HEADER_BYTES] = {0};
  const unsigned char *id = header + APPLICATION_AT;
  sqlite3_file *file = NULL;
  sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (!file || !file->pMethods) return HEADER_TEXT;
  int rc = file->pMethods->xRead(file, header, sizeof header, 0);
  if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ) return HEADER_TEXT;
  if (is_zero(header, sizeof magic)) return HEADER_ZERO;
  if (memcmp(header, magic, sizeof magic) != 0) return HEADER_TEXT;
  uint32_t application = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
  return application == SQLITE_SCHEMA_APPLICATION ? HEADER_STORE : HEADER_DATABASE;
}

// Of a file that SQLite cannot read: whether it has been a store, or was left full of zeros by a crash.
static bool is_damaged_store(struct sqlite_db *db) {
  enum header_kind kind = header_of(db);
  return kind == HEADER_ZERO || kind == HEADER_STORE;
}

// Whose file it is, before anything in it is changed; an empty one is to get the tables.
static enum sqlite_fault identify(struct sqlite_db *db, bool *is_new) {
  int64_t version = pragma_of(db, "pragma user_version"),
          application = pragma_of(db, "pragma application_id");
  int64_t tables = pragma_of(db, "select count(*) from sqlite_master");
  enum sqlite_fault fault = sqlite_fault_of(db->rc);
  if (fault != FAULT_NONE) return fault == FAULT_CORRUPT && !is_damaged_store(db) ? FAULT_FOREIGN : fault;
  *is_new = !tables && !version;
  if (*is_new && header_of(db) == HEADER_TEXT) note(db, SQLITE_NOTADB); // to SQLite one byte is none
  if (*is_new) return db->rc ? FAULT_FOREIGN : FAULT_NONE;
  if (application != SQLITE_SCHEMA_APPLICATION) return FAULT_FOREIGN;
  return version > SQLITE_SCHEMA_VERSION ? FAULT_NEWER : FAULT_NONE;
}

static void make_tables(struct sqlite_db *db) {
  char *sql =
      sqlite3_mprintf("begin immediate; %s pragma application_id = %d; pragma user_version = %d; commit;",
                      sqlite_schema_tables, SQLITE_SCHEMA_APPLICATION, SQLITE_SCHEMA_VERSION);
  execute(db, sql);
  sqlite3_free(sql);
}

static void prepare(struct sqlite_db *db) {
  for (int i = 0; i < DB_STATEMENTS && !db->rc; i++)
    note(db, sqlite3_prepare_v3(db->handle, sqlite_schema_statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                                &db->statements[i], NULL));
}

enum { RUN_CLEAN, RUN_COMMIT, RUN_ASYNC };

// What an asynchronous run that was killed had given out may not be here: its numbers are not to be given
// twice.
static void begin_run(struct sqlite_db *db, const struct sqlite_run *run) {
  if (!sqlite_db_begin(db)) return;
  int64_t before = sqlite_db_meta(db, "run");
  db->epoch_last = (uint64_t)sqlite_db_meta(db, "epoch"),
  db->epoch_least = (uint64_t)sqlite_db_meta(db, "least");
  db->was_clean = before == RUN_CLEAN, db->is_async = run->is_async;
  if (before == RUN_ASYNC || run->is_renewed) sqlite_db_renew(db, run->wall);
  sqlite_db_set_meta(db, "run", run->is_async ? RUN_ASYNC : RUN_COMMIT);
  sqlite_db_commit(db);
}

// Made before SQLite makes it: what was published is not for everybody to read. Never of a file that is
// there, whose lock would go with the descriptor.
static bool make_private(const char *path) {
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

static enum sqlite_fault open_file(struct sqlite_db *db, const struct sqlite_run *run) {
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
              SQLITE_OPEN_NOFOLLOW;
  bool is_new = false;
  db->is_made = make_private(db->path);
  note(db, sqlite3_open_v2(db->path, &db->handle, flags, NULL));
  execute(db, sqlite_schema_lock);
  if (db->rc) return sqlite_fault_of(db->rc);
  enum sqlite_fault fault = identify(db, &is_new);
  if (fault != FAULT_NONE) return fault;
  execute(db, sqlite_schema_pragmas);
  execute(db, run->is_async ? "pragma synchronous = normal" : "pragma synchronous = full");
  if (is_new) make_tables(db);
  if (db->rc) return sqlite_fault_of(db->rc);
  if (!answers(db, "pragma journal_mode", "wal")) return FAULT_FAILED;
  sqlite3_wal_hook(db->handle, on_commit, db);
  prepare(db);
  begin_run(db, run);
  sqlite_wal_note(&db->wal, db->handle);
  if (db->rc) return sqlite_fault_of(db->rc);
  return db->was_clean || answers(db, "pragma quick_check(1)", "ok") ? FAULT_NONE : FAULT_CORRUPT;
}

// What a person is told of a file that cannot be used.
static char *explain(const struct sqlite_db *db, enum sqlite_fault fault) {
  static const char *const texts_of[] = {
      [FAULT_FULL] = "there is no room on its disk",
      [FAULT_READ_ONLY] = "the file and its folder have to be writable (read-only)",
      [FAULT_IN_USE] = "another process uses it: a store belongs to one server",
      [FAULT_NEWER] = "a newer version of spate has written it: use that one, or another file",
      [FAULT_FOREIGN] = "it is a database of something else: name another file",
      [FAULT_MISSING] =
          "it cannot be opened or made: is its folder there, and writable? (a symbolic link is not followed)",
      [FAULT_CORRUPT] = "the file is damaged, or no database",
      [FAULT_REPLACED] = "another file has its name",
      [FAULT_FAILED] = "the disk, or the system, has failed"};
  struct stat st;
  const char *text = texts_of[fault];
  if (fault == FAULT_FOREIGN && db->rc) text = "it is a file of something else, no store: name another file";
  if (fault == FAULT_MISSING && stat(db->path, &st) == 0 && S_ISDIR(st.st_mode))
    return xasprintf("%s: it is a directory: name a file in it", db->path);
  if (!db->rc) return xasprintf("%s: %s", db->path, text);
  return xasprintf("%s: %s (SQLite: %s)", db->path, text, sqlite_db_message(db));
}

static void close_handle(struct sqlite_db *db) {
  for (int i = 0; i < DB_STATEMENTS; i++) sqlite3_finalize(db->statements[i]);
  sqlite3_close(db->handle);
  free(db->path);
  *db = (struct sqlite_db){0};
}

void sqlite_db_discard(struct sqlite_db *db) {
  char *path = db->is_made ? xstrdup(db->path) : NULL, *wal = path ? sqlite_wal_path(path) : NULL;
  sqlite_db_rollback(db);
  close_handle(db);
  if (path) unlink(path), unlink(wal);
  free(path), free(wal);
}

enum sqlite_fault sqlite_db_open(struct sqlite_db *db, const char *path, const struct sqlite_run *run,
                                 char **why) {
  *db = (struct sqlite_db){.path = xstrdup(path)};
  *why = NULL;
  enum sqlite_fault fault = open_file(db, run);
  if (fault == FAULT_NONE) return fault;
  *why = explain(db, fault);
  if (db->is_made && fault != FAULT_IN_USE) sqlite_db_discard(db);
  else close_handle(db);
  return fault;
}

void sqlite_db_close(struct sqlite_db *db, bool is_clean) {
  if (!db->handle) return;
  sqlite_db_rollback(db);
  if (sqlite_db_has_moved(db)) {
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    sqlite_wal_take_away(&db->wal, db->handle);
  } else if (is_clean && sqlite_db_begin(db)) {
    sqlite_db_set_meta(db, "run", RUN_CLEAN);
    if (sqlite_db_commit(db)) sqlite_db_checkpoint(db, true);
  }
  close_handle(db);
}

char *sqlite_db_put_aside(const char *path, const char *as, double wall) {
  char *aside = xasprintf("%s.%s-%.0f", path, as, wall);
  char *wal = sqlite_wal_path(path), *wal_aside = sqlite_wal_path(aside);
  rename(path, aside);
  rename(wal, wal_aside);
  free(wal), free(wal_aside);
  return aside;
}
