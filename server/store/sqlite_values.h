// SPDX-License-Identifier: MIT
// Shared dictionaries that outlive the process: what changes in them is written a little later, a key once
// however often it has changed. One thread.
#pragma once
#include "base/clock.h"
#include "event/shared.h"
#include "store/sqlite_db.h"

// Puts what is kept into the registry, before anybody else has it. How many values found no room there.
size_t sqlite_values_load(struct sqlite_db *db, struct shared_registry *r, const struct clock *clock);

// The value of the present row of DB_VALUES; writes one, which ends at that time since 1970 (INFINITY:
// never).
struct shared_value sqlite_values_row(const struct sqlite_db *db);
void sqlite_values_put(struct sqlite_db *db, struct span dictionary, struct span key,
                       const struct shared_value *v, double expires);

// Writes some thousand of what has changed, as a transaction of its own; true where that was something. A
// failure is left in db, and what it was about is written later.
bool sqlite_values_keep(struct sqlite_db *db, struct shared_registry *r, const struct clock *clock);
