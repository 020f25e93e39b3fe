// SPDX-License-Identifier: MIT
// What the library only reports is an invariant here, so a lock that is left out shows in one thread, without
// a second one that has to come at the wrong moment.
#include "base/lock.h"
#include <assert.h>

void lock_init(pthread_mutex_t *lock) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_init(lock, &attributes);
  pthread_mutexattr_destroy(&attributes);
}

void lock_take(pthread_mutex_t *lock) {
  int error = pthread_mutex_lock(lock);
  assert(!error);
}

void lock_release(pthread_mutex_t *lock) {
  int error = pthread_mutex_unlock(lock);
  assert(!error);
}

void lock_deinit(pthread_mutex_t *lock) {
  int error = pthread_mutex_destroy(lock);
  assert(!error);
}
