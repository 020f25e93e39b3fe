// SPDX-License-Identifier: MIT
// How many connections the process has, in all and from each address. Any thread.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include "base/address.h"
#include "base/map.h"
#include "http/refusal.h"

struct admission_address;

#define TOO_MANY_CONNECTIONS REFUSED_BY(LIMIT_CONNECTIONS, 503, "too many connections")

// Zeroed, nobody uses it.
struct admission {
  unsigned users;
  pthread_mutex_t lock;
  size_t connections_max, per_address_max;
  size_t open;        // connections inside
  size_t turned_away; // that are still being told so
  struct map by_address;
  double logged_at;
  uint64_t unlogged; // refused since
};

// What a connection holds of the admission until it leaves.
enum admission_stay { ADMISSION_OUTSIDE, ADMISSION_INSIDE, ADMISSION_TURNED_AWAY };

// For each worker; the first one makes it, the last one frees what it holds. Main thread. `connections_max`
// 0: the descriptors that the process may have, less some for files and for refusals.
void admission_ref(struct admission *g, size_t connections_max, size_t per_address_max);
void admission_unref(struct admission *g);

// Lets a connection from `peer` in and returns NULL, or says why not; *address is what counts it. Peers on
// this machine, and one that is NULL, are counted in all only: a reverse proxy brings everybody's from one
// address.
struct refusal admission_enter(struct admission *g, const struct address *peer,
                               struct admission_address **address);

// Whether a refused connection may be kept for as long as the client takes to read that, as one that is
// turned away: few may.
bool admission_may_linger(struct admission *g);

// Ends a stay of any kind. `address` as admission_enter has given it; NULL where it did not.
void admission_leave(struct admission *g, enum admission_stay stay, struct admission_address *address);

// Counts a refusal. True at most once a second, with the refusals since the last time in *count: log them.
bool admission_should_log(struct admission *g, double now, uint64_t *count);
