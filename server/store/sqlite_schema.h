// SPDX-License-Identifier: MIT
// What a store's file looks like, and how it is asked: all SQL of the store.
#pragma once

enum { SQLITE_SCHEMA_APPLICATION = 0x73706174, SQLITE_SCHEMA_VERSION = 1 }; // "spat"

// By enum sqlite_statement.
extern const char *const sqlite_schema_statements[];

extern const char sqlite_schema_tables[];  // makes the tables
extern const char sqlite_schema_lock[];    // for each connection, before it reads
extern const char sqlite_schema_pragmas[]; // then, of a file that is ours
