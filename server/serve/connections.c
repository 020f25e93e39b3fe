// SPDX-License-Identifier: MIT
// The one hook that writes: whatever happened during a turn, each connection with something to send is
// flushed once at its end, so that all that is pending goes out by one write.
#include "serve/connections.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include "base/log.h"
#include "loop/batch.h"
#include "serve/conn.h"

enum { FLUSHES_MAX = 128, LAST_FLUSHES_MAX = 1024, FLUSHES_TOGETHER = 16 };
static const double FLUSH_SECONDS = 0.005;

// What they have sent since the last call leaves. So few at a time are all that a call gains by, and what
// belongs to them is still near when they are told.
static void send_together(struct service *s) {
  if (!batch_is_open(s->loop->batch)) return;
  unsigned sends = batch_close(s->loop->batch, s->loop->now);
  counter_add(&s->counters.batches_total, sends > 0);
  counter_add(&s->counters.batched_sends_total, sends);
}

static void flush_some(struct service *s, struct list *conns, int max, double seconds, bool collects) {
  double until = INFINITY;
  for (int n = 1; n <= max && !list_empty(conns); n++) {
    conn_flush(container_of(list_shift(conns), struct conn, dirty));
    if (n % FLUSHES_TOGETHER) continue;
    if (collects) {
      send_together(s);
      batch_open(s->loop->batch, s->loop->now);
    }
    double now = clock_now(s->loop->clock);
    if (now >= until) return;
    until = MIN(until, now + seconds);
  }
}

static void free_closed(struct service *s) {
  for (struct list *node; (node = list_shift(&s->closed));) free(container_of(node, struct conn, link));
}

// `n` and how many connections are in the list: BATCH_MIN where there are more.
static unsigned count_few(const struct list *conns, unsigned n) {
  for (const struct list *node = conns->next; node != conns && n != BATCH_MIN; node = node->next) n++;
  return n;
}

static void flush_batch(struct service *s, struct list *fresh) {
  struct batch *batch = s->loop->batch;
  bool collects = batch_pays(batch, count_few(fresh, count_few(&s->late, count_few(&s->leaving, 0))));
  if (collects) batch_open(batch, s->loop->now);
  flush_some(s, fresh, FLUSHES_MAX, FLUSH_SECONDS, collects);
  flush_some(s, &s->late, FLUSHES_MAX, FLUSH_SECONDS, collects);
  flush_some(s, &s->leaving, LAST_FLUSHES_MAX, INFINITY, collects);
  send_together(s);
}

// One event may be for every stream there is, and a write takes microseconds: after so many the loop looks
// whether anything else has come. What is left does not go before what comes then, which would wait for all
// of it, nor is it put off by that: each has its share of a turn.
static bool flush_dirty(struct loop_hook *h) {
  struct service *s = container_of(h, struct service, flush_hook);
  struct list fresh;
  list_init(&fresh);
  list_splice(&fresh, &s->dirty);
  flush_batch(s, &fresh);
  list_splice(&s->late, &fresh);
  free_closed(s);
  s->loop->told_max = list_empty(&s->leaving) ? LOOP_TOLD_MAX : LOOP_TOLD_FEW;
  return !list_empty(&s->dirty) || !list_empty(&s->late) || !list_empty(&s->leaving);
}

void connections_hasten(struct service *s) { list_splice(&s->leaving, &s->dirty); }

void connections_init(struct service *s) {
  s->flush_hook = (struct loop_hook){.run = flush_dirty};
  loop_hook_add(s->loop, &s->flush_hook);
  tls_server_init(&s->tls, s->loop, &s->counters.tls, s->settings->limits.handshakes);
}

void connections_close(struct service *s) {
  while (!list_empty(&s->conns))
    conn_close(container_of(s->conns.next, struct conn, link), REASON_SHUTDOWN, false);
}

void connections_deinit(struct service *s) {
  assert(list_empty(&s->conns));
  free_closed(s);
  tls_server_deinit(&s->tls);
  loop_hook_remove(s->loop, &s->flush_hook);
}

static void note_refused(struct service *s, const char *why) {
  uint64_t count;
  if (admission_should_log(&s->process->admission, s->loop->now, &count))
    log_message(LOG_WARN, "%s: %llu refused", why, (unsigned long long)count);
}

void connections_accept(struct service *s, struct transport *t) {
  struct admission_address *address;
  bool is_proxy = trusted_has(&s->settings->trusted_proxies, &t->peer);
  struct refusal r = admission_enter(&s->process->admission, is_proxy ? NULL : &t->peer, &address);
  if (!r.status) {
    conn_open(s, t, ADMISSION_INSIDE, address);
    return;
  }
  bool may_linger = admission_may_linger(&s->process->admission);
  service_refused(s, r.limit);
  note_refused(s, r.why);
  conn_turn_away(conn_open(s, t, may_linger ? ADMISSION_TURNED_AWAY : ADMISSION_OUTSIDE, NULL), r,
                 may_linger);
}

void connections_turn_away(struct service *s, struct transport *t) {
  service_refused(s, LIMIT_CONNECTIONS);
  conn_turn_away(conn_open(s, t, ADMISSION_OUTSIDE, NULL), TOO_MANY_CONNECTIONS, false);
}

static void leave_soon(struct service *s, struct stream *stream, enum close_reason reason) {
  stream_leave(stream, service_random(s) * s->settings->shutdown.window, reason);
}

static void drain_conn(struct service *s, struct conn *c) {
  list_each (node, &c->streams) {
    struct stream *stream = container_of(node, struct stream, link);
    if (stream->is_sse) leave_soon(s, stream, REASON_SHUTDOWN);
  }
  conn_close_idle(c);
}

void connections_drain(struct service *s) {
  s->draining = true;
  list_each (node, &s->conns) drain_conn(s, container_of(node, struct conn, link));
}

void connections_each_stream(struct service *s, void (*fn)(struct stream *stream, void *arg), void *arg) {
  list_each (node, &s->conns) {
    struct conn *c = container_of(node, struct conn, link);
    list_each (each, &c->streams) fn(container_of(each, struct stream, link), arg);
  }
}

static void leave_if_old(struct stream *stream, void *generation) {
  struct service *s = stream_service(stream);
  if (stream->generation <= *(unsigned *)generation) leave_soon(s, stream, REASON_RELOAD);
}

void connections_leave_generation(struct service *s, unsigned generation) {
  s->left_generation = MAX(s->left_generation, generation);
  connections_each_stream(s, leave_if_old, &generation);
}
