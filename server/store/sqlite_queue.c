// SPDX-License-Identifier: MIT
// Requests are answered in the order of their coming, so that two counters tell whether one has been.
#include "store/sqlite_queue.h"
#include <math.h>
#include <time.h>
#include "base/lock.h"

enum { COUNT_MAX = 65536, BYTES_MAX = 64 << 20 };

static struct store_request *request_of(struct list *node) {
  return container_of(node, struct store_request, job.done.link);
}

void sqlite_queue_init(struct sqlite_queue *q) {
  pthread_condattr_t monotonic;
  *q = (struct sqlite_queue){0};
  lock_init(&q->lock);
  list_init(&q->requests);
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&q->changed, &monotonic);
  pthread_cond_init(&q->answered, &monotonic);
  pthread_condattr_destroy(&monotonic);
}

void sqlite_queue_deinit(struct sqlite_queue *q) {
  pthread_cond_destroy(&q->answered);
  pthread_cond_destroy(&q->changed);
  lock_deinit(&q->lock);
}

bool sqlite_queue_put(struct sqlite_queue *q, struct store_request *r) {
  lock_take(&q->lock);
  bool has_room = !q->is_closed && q->count < COUNT_MAX && q->bytes + r->len <= BYTES_MAX;
  if (has_room) {
    list_append(&q->requests, &r->job.done.link);
    q->count++, q->bytes += r->len, q->taken_total++;
    pthread_cond_signal(&q->changed);
  }
  lock_release(&q->lock);
  return has_room;
}

size_t sqlite_queue_take(struct sqlite_queue *q, struct list *into, size_t max) {
  size_t n = 0;
  lock_take(&q->lock);
  for (; n < max && q->count; n++) {
    struct list *node = list_shift(&q->requests);
    q->count--, q->bytes -= request_of(node)->len;
    list_append(into, node);
  }
  q->is_poked = false;
  lock_release(&q->lock);
  return n;
}

void sqlite_queue_put_back(struct sqlite_queue *q, struct list *requests, size_t count) {
  lock_take(&q->lock);
  list_each (node, requests) q->bytes += request_of(node)->len;
  q->count += count;
  list_splice(requests, &q->requests);
  list_splice(&q->requests, requests);
  lock_release(&q->lock);
}

void sqlite_queue_answer(struct sqlite_queue *q, size_t count) {
  lock_take(&q->lock);
  q->answered_total += count;
  pthread_cond_broadcast(&q->answered);
  lock_release(&q->lock);
}

static struct timespec after(double seconds) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  double at = (double)t.tv_sec + (double)t.tv_nsec / 1e9 + seconds;
  return (struct timespec){(time_t)at, (long)((at - floor(at)) * 1e9)};
}

void sqlite_queue_wait(struct sqlite_queue *q, double seconds) {
  struct timespec until = {0};
  int rc = 0;
  if (!isinf(seconds)) until = after(seconds);
  lock_take(&q->lock);
  while (!q->count && !q->is_closed && !q->is_poked && !rc)
    rc = isinf(seconds) ? pthread_cond_wait(&q->changed, &q->lock)
                        : pthread_cond_timedwait(&q->changed, &q->lock, &until);
  lock_release(&q->lock);
}

void sqlite_queue_rest(struct sqlite_queue *q) {
  lock_take(&q->lock);
  while (!q->is_closed && !q->is_poked) pthread_cond_wait(&q->changed, &q->lock);
  q->is_poked = false;
  lock_release(&q->lock);
}

void sqlite_queue_poke(struct sqlite_queue *q) {
  lock_take(&q->lock);
  q->is_poked = true;
  pthread_cond_signal(&q->changed);
  lock_release(&q->lock);
}

void sqlite_queue_flush(struct sqlite_queue *q) {
  lock_take(&q->lock);
  unsigned long all = q->taken_total;
  while (q->answered_total < all) pthread_cond_wait(&q->answered, &q->lock);
  lock_release(&q->lock);
}

void sqlite_queue_close(struct sqlite_queue *q) {
  lock_take(&q->lock);
  q->is_closed = true;
  pthread_cond_signal(&q->changed);
  lock_release(&q->lock);
}

bool sqlite_queue_is_over(struct sqlite_queue *q) {
  lock_take(&q->lock);
  bool is_over = q->is_closed && !q->count;
  lock_release(&q->lock);
  return is_over;
}
