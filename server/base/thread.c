// SPDX-License-Identifier: MIT
// A thread's stack is otherwise what `ulimit -s` says, which may be too little for coroutines that close one
// another 200 deep.
#include "base/thread.h"

enum { STACK_SIZE = 8 << 20 };

int thread_start(pthread_t *thread, void *(*main)(void *arg), void *arg) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_SIZE);
  int error = pthread_create(thread, &attributes, main, arg);
  pthread_attr_destroy(&attributes);
  return error;
}
