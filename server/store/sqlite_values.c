// SPDX-License-Identifier: MIT
// A value's end is kept as wall time, since no other outlives the process.
#include "store/sqlite_values.h"
#include <math.h>

enum { AT_ONCE = 2000 };

struct shared_value sqlite_values_row(const struct sqlite_db *db) {
  struct shared_value v = {.type = (enum shared_type)sqlite_db_int(db, DB_VALUES, 4)};
  switch (v.type) {
  case SHARED_STRING: v.string = sqlite_db_bytes(db, DB_VALUES, 2); break;
  case SHARED_INTEGER: v.integer = sqlite_db_int(db, DB_VALUES, 2); break;
  case SHARED_FLOAT: v.number = sqlite_db_double(db, DB_VALUES, 2); break;
  case SHARED_BOOLEAN: v.boolean = sqlite_db_int(db, DB_VALUES, 2) != 0; break;
  default: v.type = SHARED_NIL; break;
  }
  return v;
}

size_t sqlite_values_load(struct sqlite_db *db, struct shared_registry *r, const struct clock *clock) {
  size_t lost = 0;
  sqlite_db_bind(db, DB_VALUES, "");
  while (sqlite_db_row(db, DB_VALUES)) {
    struct span name = sqlite_db_bytes(db, DB_VALUES, 0), key = sqlite_db_bytes(db, DB_VALUES, 1);
    bool stays = sqlite_db_is_null(db, DB_VALUES, 3);
    double ttl = stays ? INFINITY : sqlite_db_double(db, DB_VALUES, 3) - clock_wall(clock);
    struct shared_value v = sqlite_values_row(db);
    lost += !shared_restore(r, name, key, &v, ttl, clock_now(clock));
  }
  return lost;
}

void sqlite_values_put(struct sqlite_db *db, struct span dictionary, struct span key,
                       const struct shared_value *v, double expires) {
  bool stays = isinf(expires);
  int64_t type = v->type, integer = v->type == SHARED_INTEGER ? v->integer : 0;
  if (v->type == SHARED_BOOLEAN) integer = v->boolean;
  if (v->type == SHARED_STRING)
    sqlite_db_bind(db, DB_VALUE_SET, stays ? "tbbNi" : "tbbdi", dictionary, key, v->string, expires, type);
  else if (v->type == SHARED_FLOAT)
    sqlite_db_bind(db, DB_VALUE_SET, stays ? "tbdNi" : "tbddi", dictionary, key, v->number, expires, type);
  else sqlite_db_bind(db, DB_VALUE_SET, stays ? "tbiNi" : "tbidi", dictionary, key, integer, expires, type);
  sqlite_db_run(db, DB_VALUE_SET);
}

static void keep_value(struct sqlite_db *db, const struct shared_change *c, const struct clock *clock) {
  double expires = clock_wall(clock) + c->deadline - clock_now(clock); // infinite where that is
  sqlite_values_put(db, c->dictionary, c->key, &c->value, expires);
}

static void forget_value(struct sqlite_db *db, const struct shared_change *c) {
  sqlite_db_bind(db, DB_VALUE_DELETE, "tb", c->dictionary, c->key);
  sqlite_db_run(db, DB_VALUE_DELETE);
}

bool sqlite_values_keep(struct sqlite_db *db, struct shared_registry *r, const struct clock *clock) {
  struct list changes;
  list_init(&changes);
  if (!shared_take_changes(r, clock_now(clock), AT_ONCE, &changes)) return false;
  sqlite_db_begin(db);
  list_each (node, &changes) {
    const struct shared_change *c = container_of(node, struct shared_change, link);
    if (c->value.type == SHARED_NIL) forget_value(db, c);
    else keep_value(db, c, clock);
  }
  bool is_kept = sqlite_db_commit(db);
  for (struct list *node; (node = list_shift(&changes));) {
    struct shared_change *c = container_of(node, struct shared_change, link);
    if (!is_kept) shared_put_back(r, c, clock_now(clock));
    shared_change_free(c);
  }
  return true;
}
