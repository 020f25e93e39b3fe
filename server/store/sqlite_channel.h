// SPDX-License-Identifier: MIT
// What a store's file has of a channel. Its events have numbers that only rise, over epochs too, so that they
// lie in one range; where numbers are missing between two, what was there is lost. Numbers that were given
// out are not given again. One thread; all within a transaction.
#pragma once
#include "base/list.h"
#include "base/map.h"
#include "event/channel.h"
#include "store/sqlite_db.h"
#include "store/store.h"

enum { NUMBER_BITS = 35 };

// What is kept of a channel at least; 0: any number, any age.
struct sqlite_limits {
  uint64_t events, bytes;
  double ttl;
};

struct sqlite_channel {
  struct map_node node;      // of sqlite_channels
  struct list used;          // likewise
  struct list over;          // where more is kept than has to be
  const struct channel *met; // whose position is known to be the file's; only compared
  int64_t c;                 // 0: no row yet
  uint64_t newest, oldest;   // numbers of events; oldest is behind newest where there is none
  struct sqlite_epoch {
    uint64_t first, epoch; // of its first event
  } * epochs;              // at least one
  size_t epoch_count;
  bool is_counted, is_epoch_over; // whether count and bytes are known; whether the next event begins an epoch
  int64_t count, bytes;
  struct sqlite_limits limits;
  bool is_finished;
  char name[];
};

// The channel as the file has it, as yet in nobody's list; one that is not there begins with the next epoch.
// NULL where the file has failed.
struct sqlite_channel *sqlite_channel_load(struct sqlite_db *db, struct span name, double wall);
void sqlite_channel_free(struct sqlite_channel *ch);

// Where it is.
struct position sqlite_channel_newest(const struct sqlite_channel *ch);
struct position sqlite_channel_position(const struct sqlite_channel *ch, uint64_t number);

// Others know it up to a later position than the file has: it goes on behind that.
void sqlite_channel_adopt(struct sqlite_db *db, struct sqlite_channel *ch, struct position p);

// Takes the limits; they are kept where they are others.
void sqlite_channel_limit(struct sqlite_db *db, struct sqlite_channel *ch,
                          const struct sqlite_limits *limits);

// Numbers an event of the fields and keeps it: a reference. NULL where that has failed.
struct event *sqlite_channel_append(struct sqlite_db *db, struct sqlite_channel *ch,
                                    const struct sse_fields *fields, uint64_t key, double wall);

// The same of an event that has a number already, behind all that is there. False where that has failed.
bool sqlite_channel_put(struct sqlite_db *db, struct sqlite_channel *ch, struct event *e, double at);

// Ends it.
void sqlite_channel_finish(struct sqlite_db *db, struct sqlite_channel *ch);

// Gives it up: it is none of the file's any more, but for the room it takes until its events are trimmed.
void sqlite_channel_remove(struct sqlite_db *db, struct sqlite_channel *ch);

// Answers STORE_READ.
void sqlite_channel_read(struct sqlite_db *db, const struct sqlite_channel *ch, struct store_request *r);

// Whether it has so much more than it should that trimming pays.
bool sqlite_channel_is_over(const struct sqlite_channel *ch);

// Deletes what is too much or too old, some thousand events at most: true where there is more of that.
bool sqlite_channel_trim(struct sqlite_db *db, struct sqlite_channel *ch, double wall, uint64_t *trimmed);

// Whether nothing is left of it but where it is.
bool sqlite_channel_is_empty(const struct sqlite_channel *ch);

// Deletes a channel's events, some thousand at most, and then all of it: true where there are more.
bool sqlite_channel_bury(struct sqlite_db *db, int64_t c);

// Where an event of this number is in the table.
int64_t sqlite_channel_key(int64_t c, uint64_t number);
