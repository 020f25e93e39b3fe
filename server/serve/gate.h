// SPDX-License-Identifier: MIT
// How many connections the process has, in all and from each address. Any thread.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include "base/address.h"
#include "base/map.h"

struct gate_address;

// Zeroed, nobody uses it.
struct gate {
  unsigned users;
  pthread_mutex_t lock;
  size_t connections_max, per_address_max;
  size_t open;        // connections inside
  size_t turned_away; // that are still being told so
  struct map by_address;
  double logged_at;
  uint64_t unlogged; // refused since
};

// What a connection holds of the gate until it leaves.
enum gate_stay { GATE_OUTSIDE, GATE_INSIDE, GATE_TURNED_AWAY };

// For each worker; the first one makes it, the last one frees what it holds. Main thread. `connections_max`
// 0: the descriptors that the process may have, less some for files and for refusals.
void gate_ref(struct gate *g, size_t connections_max, size_t per_address_max);
void gate_unref(struct gate *g);

// Lets a connection from `peer` in and returns NULL, or says why not; *address is what counts it. Peers on
// this machine, and one that is NULL, are counted in all only: a reverse proxy brings everybody's from one
// address.
const char *gate_enter(struct gate *g, const struct address *peer, struct gate_address **address);

// Whether a refused connection may be kept for as long as the client takes to read that, as one that is
// turned away: few may.
bool gate_may_linger(struct gate *g);

// Ends a stay of any kind. `address` as gate_enter has given it; NULL where it did not.
void gate_leave(struct gate *g, enum gate_stay stay, struct gate_address *address);

// Counts a refusal. True at most once a second, with the refusals since the last time in *count: log them.
bool gate_should_log(struct gate *g, double now, uint64_t *count);
