// SPDX-License-Identifier: MIT
// The list of a worker's connections and the one hook that writes: whatever happened during a turn, each
// stream with something to send is flushed once at its end, so all that is pending goes out by one writev.
#include "serve/service.h"
#include <stdlib.h>
#include <time.h>
#include "base/log.h"
#include "base/mem.h"
#include "loop/sock.h"
#include "serve/conn.h"

enum { FLUSHES_MAX = 500 };
static const double FLUSH_SECONDS = 0.005;

static void flush_some(struct service *s, struct list *streams) {
  double until = clock_now(s->loop->clock) + FLUSH_SECONDS;
  for (int n = 0; n < FLUSHES_MAX && !list_empty(streams); n++) {
    stream_flush(container_of(list_shift(streams), struct stream, dirty));
    if (clock_now(s->loop->clock) >= until) return;
  }
}

// One event may be for every stream there is, and a write takes microseconds: after so many the loop looks
// whether anything else has come. What is left does not go before what comes then, which would wait for all
// of it, nor is it put off by that: each has its share of a turn.
static bool flush_dirty(struct loop_hook *h) {
  struct service *s = container_of(h, struct service, flush_hook);
  struct list fresh;
  list_init(&fresh);
  list_splice(&fresh, &s->dirty);
  flush_some(s, &fresh);
  flush_some(s, &s->late);
  list_splice(&s->late, &fresh);
  return !list_empty(&s->dirty) || !list_empty(&s->late);
}

void service_init(struct service *s, struct loop *loop, const struct settings *settings,
                  const struct service_ops *ops) {
  *s = (struct service){.loop = loop,
                        .settings = settings,
                        .ops = ops,
                        .limits = {.head = settings->limits.head,
                                   .target = settings->limits.target,
                                   .fields = settings->limits.fields,
                                   .chunk_extensions = settings->limits.chunk_extensions},
                        .flush_hook = {.run = flush_dirty},
                        .last_chunk = event_of_bytes(SPAN("0\r\n\r\n")),
                        .date_second = -1,
                        .seed = (unsigned)(clock_wall(loop->clock) * 1e6),
                        .scratch = xmalloc(SCRATCH_LEN)};
  list_init(&s->counted);
  list_init(&s->conns);
  list_init(&s->dirty);
  list_init(&s->late);
  loop_hook_add(loop, &s->flush_hook);
}

void service_close_all(struct service *s) {
  while (!list_empty(&s->conns))
    conn_close(container_of(s->conns.next, struct conn, link), REASON_SHUTDOWN, false);
}

void service_deinit(struct service *s) {
  service_close_all(s);
  loop_hook_remove(s->loop, &s->flush_hook);
  event_unref(s->last_chunk);
  buf_deinit(&s->head);
  free(s->scratch);
}

static void note_refused(struct service *s, const char *why) {
  uint64_t count;
  if (gate_should_log(&s->process->gate, s->loop->now, &count))
    log_message(LOG_WARN, "%s: %llu refused", why, (unsigned long long)count);
}

void service_accept(struct service *s, struct transport *t) {
  struct gate_pass pass = {0};
  char text[SOCK_PEER_MAX];
  struct span peer = {text, t->ops->peer(t, text, sizeof text)};
  if (trusted_has_peer(&s->settings->trusted_proxies, peer)) peer = SPAN("");
  const char *why = gate_enter(&s->process->gate, peer, &pass);
  struct conn *c = conn_open(s, t, pass);
  if (!why) return;
  counter_add(&s->counters.connections_refused_total, 1);
  note_refused(s, why);
  conn_turn_away(c, why, gate_may_linger(&s->process->gate, &c->pass));
}

void service_turn_away(struct service *s, struct transport *t) {
  counter_add(&s->counters.connections_refused_total, 1);
  conn_turn_away(conn_open(s, t, (struct gate_pass){0}), "too many connections", false);
}

static void leave_soon(struct service *s, struct stream *stream, enum close_reason reason) {
  stream_leave(stream, service_random(s) * s->settings->shutdown.window, reason);
}

static void drain_conn(struct service *s, struct conn *c) {
  if (c->stream && c->stream->is_sse) leave_soon(s, c->stream, REASON_SHUTDOWN);
  else conn_close_idle(c);
}

void service_drain(struct service *s) {
  s->draining = true;
  list_each (node, &s->conns) drain_conn(s, container_of(node, struct conn, link));
}

void service_leave_generation(struct service *s, unsigned generation) {
  s->left_generation = MAX(s->left_generation, generation);
  list_each (node, &s->conns) {
    struct stream *stream = container_of(node, struct conn, link)->stream;
    if (stream && stream->generation <= generation) leave_soon(s, stream, REASON_RELOAD);
  }
}

size_t service_connections(const struct service *s) { return s->counters.connections_open; }

struct span service_date(struct service *s) {
  double wall = clock_wall(s->loop->clock);
  if ((long)wall != s->date_second) {
    struct tm tm;
    s->date_second = (long)wall;
    gmtime_r(&(time_t){s->date_second}, &tm);
    strftime(s->date, sizeof s->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
  }
  return (struct span){s->date, 29};
}

double service_random(struct service *s) { return rand_r(&s->seed) / (double)RAND_MAX; }
