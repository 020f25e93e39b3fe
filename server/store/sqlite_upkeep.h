// SPDX-License-Identifier: MIT
// What a store does beside what it is asked for: it lets go of what is too much or too old, and moves what is
// committed from the log into the file. Its thread.
#pragma once
#include "store/sqlite_store.h"

// Does some of it, a few milliseconds' worth; false where there is nothing to do now. is_busy: requests have
// just been carried out, and more may wait. A failure is left in the store's db.
bool sqlite_upkeep(struct sqlite_store *s, bool is_busy);

// Seconds until there is something.
double sqlite_upkeep_wait(const struct sqlite_store *s);
