// SPDX-License-Identifier: MIT
// Statements without parameters, one behind another, and migrations. Failures are noted in the question; 0 or
// -1. The connection's thread.
#pragma once
#include "client/sqlite_connection.h"

// Whether there are only blanks and semicolons.
bool sqlite_is_blank(const char *sql);

// All statements of a text that has no parameters.
int sqlite_script_run(struct sqlite3 *db, struct sqlite_question *q, const char *sql);

// The number of the last migration, as the file says; -1: it cannot be read.
int64_t sqlite_user_version(struct sqlite3 *db);

// Runs those of the configuration's migrations that the file has not had.
int sqlite_migrate(struct sqlite3 *db, const struct sqlite_config *config, struct sqlite_question *q);
