// SPDX-License-Identifier: MIT
// Counters that one thread writes and any reads.
#pragma once
#include <stdint.h>

// Adds to a counter that other threads may be reading.
static inline void counter_add(uint64_t *counter, int64_t n) {
  __atomic_store_n(counter, *counter + (uint64_t)n, __ATOMIC_RELAXED);
}
