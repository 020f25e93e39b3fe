// SPDX-License-Identifier: MIT
// A few threads for what would hold up a loop: a name to look up, a file, a password's hash. Each kind of
// work has a pool of its own, so that none waits for another, and no more threads and no longer queue than
// its limits say. A pool belongs to one home, whose thread alone calls what is here.
#pragma once
#include <pthread.h>
#include "base/counter.h"
#include "loop/job.h"

struct pool;

// Embedded first in what is to be done, and what that finds. Its job is begun by job_begin with the pool's
// home.
struct work {
  struct job job;
  void (*run)(struct work *w); // on a thread of the pool; the job is finished when it returns
  struct pool *pool;
  struct list link; // in the queue
};

struct pool_limits {
  unsigned threads; // 0: home's own thread does the work, in its next turn, as specs have it
  unsigned queued;  // what may wait for a thread
  double idle;      // seconds without work after which a thread ends
};

struct pool {
  struct inbox *home;
  struct pool_limits limits;
  struct loop_hook hook; // where it has no threads
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct list queue; // behind the lock, as are these, which any thread may read
  uint64_t queued, running, threads, threads_max;
  bool ends, has_left;
  pthread_t left; // the thread that ended last, to be joined
};

// Makes a pool ready; its threads start when there is work. One of zeros is full.
void pool_init(struct pool *p, struct inbox *home, struct pool_limits limits);

// Ends it: what has not begun never does, and nobody is told of it; waits for what runs. What has been done
// comes home afterwards, with the next of home's messages. Harmless for a pool of zeros.
void pool_deinit(struct pool *p);

// Has the work run, and its job come home. False: the queue is full, and the work is the caller's as before.
bool pool_submit(struct pool *p, struct work *w);

// Nobody waits for the work any more: where it has not begun it never does. It is freed by its job's `free`,
// in a later turn. Only before its job's on_done has been called.
void pool_abandon(struct work *w);

// How many threads it has now.
unsigned pool_threads(struct pool *p);
