// SPDX-License-Identifier: MIT
// What a store has been asked for and has not carried out: bounded in requests, in bytes, and by the time
// that the oldest may have waited (sqlite_store). Its lock comes after a channel's, and is held for a few
// pointers.
#pragma once
#include <pthread.h>
#include "store/store.h"

struct sqlite_queue {
  pthread_mutex_t lock;
  pthread_cond_t changed, answered; // for who carries out; for who waits until all is answered
  struct list requests;             // behind the lock, as all that follows
  size_t count, bytes;
  unsigned long taken_total, answered_total;
  bool is_closed, is_poked;
};

void sqlite_queue_init(struct sqlite_queue *q);
void sqlite_queue_deinit(struct sqlite_queue *q);

// Takes a request. False where there are too many, or it is closed: the request is the caller's as before.
// Any thread.
bool sqlite_queue_put(struct sqlite_queue *q, struct store_request *r);

// Moves the oldest into the list, `max` at most; puts them back before the others. Who carries out.
size_t sqlite_queue_take(struct sqlite_queue *q, struct list *into, size_t max);
void sqlite_queue_put_back(struct sqlite_queue *q, struct list *requests, size_t count);

// So many have been answered. Who carries out.
void sqlite_queue_answer(struct sqlite_queue *q, size_t count);

// Waits until something is asked for, it is poked or closed, or the seconds (INFINITY: none) are over.
void sqlite_queue_wait(struct sqlite_queue *q, double seconds);

// The same, whatever is asked for.
void sqlite_queue_rest(struct sqlite_queue *q);

// Has whoever waits look again. Any thread.
void sqlite_queue_poke(struct sqlite_queue *q);

// Waits until all is answered that has been put so far. Any thread but who carries out.
void sqlite_queue_flush(struct sqlite_queue *q);

// Takes no more. Any thread.
void sqlite_queue_close(struct sqlite_queue *q);

// Closed, and nothing is left.
bool sqlite_queue_is_over(struct sqlite_queue *q);
