// SPDX-License-Identifier: MIT
// A mutex that knows who holds it: one that is taken twice by the same thread, released by a thread that has
// not taken it, or destroyed while it is held, ends the process there, instead of going on with a race or
// standing still.
#pragma once
#include <pthread.h>

// Any thread for all, but one that uses a lock to its end for the first and the last.
void lock_init(pthread_mutex_t *lock);
void lock_take(pthread_mutex_t *lock);
void lock_release(pthread_mutex_t *lock);
void lock_deinit(pthread_mutex_t *lock);
