// SPDX-License-Identifier: MIT
// A change of the tables is another version, and a migration of those before.
#include "store/sqlite_schema.h"
#include "store/sqlite_db.h"

const char *const sqlite_schema_statements[DB_STATEMENTS] = {
    [DB_BEGIN] = "begin immediate",
    [DB_COMMIT] = "commit",
    [DB_ROLLBACK] = "rollback",
    [DB_META_GET] = "select value from meta where name = ?",
    [DB_META_SET] = "insert or replace into meta values (?, ?)",
    [DB_CHANNEL_FIND] = "select c, floor, finished, history, bytes, ttl from channel where name = ?",
    [DB_CHANNEL_ADD] =
        "insert into channel (name, floor, finished, history, bytes, ttl) values (?, ?, 0, ?, ?, ?)",
    [DB_CHANNEL_LIMITS] = "update channel set history = ?, bytes = ?, ttl = ? where c = ?",
    [DB_CHANNEL_FLOOR] = "update channel set floor = ? where c = ?",
    [DB_CHANNEL_FINISH] = "update channel set finished = 1 where c = ?",
    [DB_CHANNEL_REMOVE] = "update channel set name = null where c = ?",
    [DB_CHANNEL_DELETE] = "delete from channel where c = ?",
    [DB_CHANNEL_NEXT] = "select c, name from channel where c > ? order by c limit 1",
    [DB_EPOCHS] = "select first, epoch from epoch where c = ? order by first",
    [DB_EPOCH_ADD] = "insert or replace into epoch values (?, ?, ?)",
    [DB_EPOCHS_DELETE] = "delete from epoch where c = ? and first < ?",
    [DB_EVENT_ADD] = "insert into event values (?, ?, ?, ?)",
    [DB_EVENT_FIRST] = "select min(k) from event where k between ? and ?",
    [DB_EVENT_LAST] = "select max(k) from event where k between ? and ?",
    [DB_EVENTS] = "select k, key, b, at from event where k between ? and ? order by k",
    [DB_EVENTS_COUNT] = "select count(*), sum(length(b)) from event where k between ? and ?",
    [DB_EVENTS_WALK] = "select k, at, length(b) from event where k between ? and ? order by k",
    [DB_EVENTS_DELETE] = "delete from event where k between ? and ?",
    [DB_VALUES] = "select dictionary, key, value, expires, type from shared",
    [DB_VALUE_SET] = "insert or replace into shared values (?, ?, ?, ?, ?)",
    [DB_COUNT_CHANNELS] = "select count(*) from channel where name is not null",
    [DB_COUNT_EVENTS] = "select count(*), sum(length(b)), min(at), max(at) from event",
    [DB_COUNT_VALUES] = "select count(*) from shared",
    [DB_EVENT_FROM_END] = "select k from event where k between ? and ? order by k desc limit 1 offset ?",
    [DB_VALUE_DELETE] = "delete from shared where dictionary = ? and key = ?",
};

// An event's key is c * 2^35 + its number. A channel that is removed has no name until its events are
// deleted. An event is the bytes of the wire, its id line among them (WHATWG HTML 9.2.5); its key tells what
// conflates, NULL: its name does.
const char sqlite_schema_tables[] =
    "create table meta (name text primary key, value integer) without rowid;"
    "create table channel (c integer primary key, name text unique, floor integer not null, finished integer "
    "not null,"
    " history integer not null, bytes integer not null, ttl real not null);"
    "create table epoch (c integer, first integer, epoch integer not null, primary key (c, first)) without "
    "rowid;"
    "create table event (k integer primary key, at integer not null, key integer, b blob not null);"
    "create table shared (dictionary text, key blob, value, expires real, type integer not null,"
    " primary key (dictionary, key)) without rowid;";

// Before anything is read: the lock is for as long as the file is open, and no other process shares memory
// with it.
const char sqlite_schema_lock[] =
    "pragma locking_mode = exclusive; pragma trusted_schema = off; pragma cell_size_check = on;"
    "pragma mmap_size = 0;";

const char sqlite_schema_pragmas[] =
    "pragma journal_mode = wal; pragma wal_autocheckpoint = 0; pragma secure_delete = off; pragma cache_size "
    "= -65536;"
    "pragma temp_store = memory; pragma journal_size_limit = 67108864; begin immediate; commit;";
