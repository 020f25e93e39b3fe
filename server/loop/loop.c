// SPDX-License-Identifier: MIT
// A turn is: sleep in poll, run the callbacks of the descriptors, then loop_turn. Everything but descriptor
// callbacks happens in loop_turn, so a spec that calls it by hand sees the server's own order. libev's only
// timer here is an alarm that ends the poll in time for the head of our heap.
#include "loop/loop.h"
#include <math.h>

// Alone in writing it.
static void count_turn(struct loop *l) {
  atomic_store_explicit(&l->turn, atomic_load_explicit(&l->turn, memory_order_relaxed) + 1,
                        memory_order_relaxed);
}

static void arm_alarm(struct loop *l, struct ev_loop *ev) {
  double next = timer_next(&l->timers);
  ev_timer_stop(ev, &l->alarm);
  if (isinf(next)) return;
  ev_now_update(ev); // the turn may have taken long, and libev counts from its cached time
  ev_timer_set(&l->alarm, MAX(next - clock_now(l->clock), 0), 0);
  ev_timer_start(ev, &l->alarm);
}

static void on_before_sleep(struct ev_loop *ev, struct ev_prepare *w, int events) {
  (void)events;
  struct loop *l = container_of(w, struct loop, before_sleep);
  if (loop_turn(l)) ev_idle_start(ev, &l->busy);
  else ev_idle_stop(ev, &l->busy);
  arm_alarm(l, ev);
  count_turn(l);
}

static void on_after_sleep(struct ev_loop *ev, struct ev_check *w, int events) {
  (void)ev, (void)events;
  struct loop *l = container_of(w, struct loop, after_sleep);
  l->now = clock_now(l->clock);
  count_turn(l);
}

static void on_alarm(struct ev_loop *ev, struct ev_timer *w, int events) { (void)ev, (void)w, (void)events; }

static void on_busy(struct ev_loop *ev, struct ev_idle *w, int events) { (void)ev, (void)w, (void)events; }

int loop_init(struct loop *l, const struct clock *clock, bool with_poll) {
  *l = (struct loop){.clock = clock, .now = clock_now(clock)};
  list_init(&l->hooks);
  if (!with_poll) return 0;
  l->ev = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
  if (!l->ev) return -1;
  ev_prepare_init(&l->before_sleep, on_before_sleep);
  ev_prepare_start(l->ev, &l->before_sleep);
  ev_check_init(&l->after_sleep, on_after_sleep);
  ev_set_priority(&l->after_sleep, EV_MAXPRI);
  ev_check_start(l->ev, &l->after_sleep);
  ev_timer_init(&l->alarm, on_alarm, 0, 0);
  ev_idle_init(&l->busy, on_busy);
  ev_set_priority(&l->busy, EV_MINPRI);
  return 0;
}

void loop_deinit(struct loop *l) {
  timer_heap_deinit(&l->timers);
  if (l->ev) ev_loop_destroy(l->ev);
  l->ev = NULL;
}

void loop_run(struct loop *l) {
  count_turn(l);
  ev_run(l->ev, 0);
  count_turn(l);
}

void loop_stop(struct loop *l) {
  if (l->ev) ev_break(l->ev, EVBREAK_ALL);
}

bool loop_turn(struct loop *l) {
  bool more = false;
  l->now = clock_now(l->clock);
  timer_run(&l->timers, l->now);
  for (struct list *node = l->hooks.next; node != &l->hooks; node = l->next_hook) {
    struct loop_hook *h = container_of(node, struct loop_hook, link);
    l->next_hook = node->next;
    more |= h->run(h);
  }
  list_each (node, &l->hooks) {
    struct loop_hook *h = container_of(node, struct loop_hook, link);
    more |= h->is_ready && h->is_ready(h);
  }
  return more;
}

void loop_hook_add(struct loop *l, struct loop_hook *h) {
  list_append(&l->hooks, &h->link);
  if (l->next_hook == &l->hooks) l->next_hook = &h->link; // it runs in this turn too
}

void loop_hook_remove(struct loop *l, struct loop_hook *h) {
  if (l->next_hook == &h->link) l->next_hook = h->link.next;
  list_remove(&h->link);
}
