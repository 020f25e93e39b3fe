// SPDX-License-Identifier: MIT
// A turn is: sleep in poll, run the callbacks of the descriptors, then loop_turn. Everything but descriptor
// callbacks happens in loop_turn, so a spec that calls it by hand sees the server's own order. libev's only
// timer here is an alarm that ends the poll in time for the head of our heap.
#include "loop/loop.h"
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/util.h"
#include "loop/batch.h"

struct poll {
  struct loop *loop;
  struct ev_prepare before_sleep;
  struct ev_check after_sleep;
  struct ev_timer alarm;
  double alarm_at;     // while it is active
  struct ev_idle busy; // runs while a hook has more to do, so that the loop polls without sleeping
  struct ev_async wake;
};

// Alone in writing it.
static void count_turn(struct loop *l) {
  atomic_store_explicit(&l->turn, atomic_load_explicit(&l->turn, memory_order_relaxed) + 1,
                        memory_order_relaxed);
}

// Whoever stops the loop may do so in a turn, or right before it would have slept.
static void end_turns(struct loop *l) {
  if (loop_running_turn(l)) count_turn(l);
}

// An alarm that comes before it is needed costs one turn, one that is moved in each turn costs each.
static void arm_alarm(struct poll *p) {
  struct loop *l = p->loop;
  struct ev_loop *ev = l->ev;
  double next = timer_next(&l->timers);
  bool is_early = ev_is_active(&p->alarm) && p->alarm_at <= next && p->alarm_at > l->now;
  if (is_early) return;
  ev_timer_stop(ev, &p->alarm);
  ev_now_update(ev); // the turn may have taken long, and libev counts from its cached time
  ev_timer_set(&p->alarm, MAX(next - clock_now(l->clock), 0), 0);
  ev_timer_start(ev, &p->alarm);
  p->alarm_at = next;
}

static void end_turn(struct loop *l) {
  loop_time(l);
  struct turn_limit *limit = l->turn_limit;
  if (limit && l->now - l->began > limit->seconds) limit->on_exceeded(limit, l->now - l->began);
}

bool loop_is_ready(const struct loop *l) {
  bool any = false;
  list_each (node, &l->hooks) {
    struct loop_hook *h = container_of(node, struct loop_hook, link);
    any |= h->is_ready && h->is_ready(h);
  }
  return any;
}

static bool run_turn(struct loop *l) {
  bool more = false;
  timer_run(&l->timers, l->now);
  for (struct list *node = l->hooks.next; node != &l->hooks; node = l->next_hook) {
    struct loop_hook *h = container_of(node, struct loop_hook, link);
    l->next_hook = node->next;
    more |= h->run(h);
  }
  more |= loop_is_ready(l);
  end_turn(l);
  return more;
}

static void on_before_sleep(struct ev_loop *ev, struct ev_prepare *w, int events) {
  (void)events;
  struct poll *p = container_of(w, struct poll, before_sleep);
  loop_time(p->loop);
  if (run_turn(p->loop)) ev_idle_start(ev, &p->busy);
  else ev_idle_stop(ev, &p->busy);
  arm_alarm(p);
  count_turn(p->loop);
}

static void on_after_sleep(struct ev_loop *ev, struct ev_check *w, int events) {
  (void)ev, (void)events;
  struct loop *l = container_of(w, struct poll, after_sleep)->loop;
  l->began = l->now = clock_now(l->clock);
  l->is_crowded = l->passes_over;
  l->round = (uint8_t)(l->round + !l->is_crowded), l->told = 0, l->passes_over = false;
  count_turn(l);
}

static void on_alarm(struct ev_loop *ev, struct ev_timer *w, int events) { (void)ev, (void)w, (void)events; }

static void on_busy(struct ev_loop *ev, struct ev_idle *w, int events) { (void)ev, (void)w, (void)events; }

// libev coalesces by itself what wakes a loop several times.
static void on_wake(struct ev_loop *ev, struct ev_async *w, int events) { (void)ev, (void)w, (void)events; }

// Right before it sleeps. A descriptor that the kernel has just refused is something to tell, which libev
// would sleep over.
static void on_release(struct ev_loop *ev) {
  struct loop *l = ev_userdata(ev);
  if (ev_pending_count(ev)) loop_wake(l);
}

static struct poll *poll_new(struct loop *l) {
  struct poll *p = xcalloc(1, sizeof *p);
  p->loop = l;
  ev_prepare_init(&p->before_sleep, on_before_sleep);
  ev_prepare_start(l->ev, &p->before_sleep);
  ev_check_init(&p->after_sleep, on_after_sleep);
  ev_set_priority(&p->after_sleep, EV_MAXPRI);
  ev_check_start(l->ev, &p->after_sleep);
  ev_init(&p->alarm, on_alarm);
  ev_idle_init(&p->busy, on_busy);
  ev_async_init(&p->wake, on_wake);
  ev_async_start(l->ev, &p->wake);
  ev_set_userdata(l->ev, l);
  ev_set_loop_release_cb(l->ev, on_release, NULL);
  return p;
}

static void on_system_error(const char *what) {
  fprintf(stderr, "spate: event loop: %s: %s; where descriptors have run out, raise `ulimit -n`\n", what,
          strerror(errno));
  abort();
}

static void *allocate(void *old, long size) {
  if (size) return xrealloc(old, (size_t)size);
  free(old);
  return NULL;
}

void loop_prepare_process(void) {
  ev_set_syserr_cb(on_system_error);
  ev_set_allocator(allocate);
}

struct wake_probe {
  struct ev_async async;
  bool is_woken;
};

static void on_probed(struct ev_loop *ev, struct ev_async *w, int events) {
  (void)ev, (void)events;
  container_of(w, struct wake_probe, async)->is_woken = true;
}

// Right before the poll: libev does not write to its descriptor at other times.
static void probe_wake(struct ev_loop *ev) {
  struct wake_probe *p = ev_userdata(ev);
  ev_async_send(ev, &p->async);
}

// libev makes the descriptor that wakes a loop when it is first needed, and aborts where there is none. It
// has the kernel watch it in the first run only, and where that is refused nothing would wake the loop ever
// again.
static bool can_be_woken(struct ev_loop *ev) {
  struct wake_probe p = {.is_woken = false};
  int fd = eventfd(0, EFD_CLOEXEC);
  if (fd < 0) return false;
  close(fd);
  ev_async_init(&p.async, on_probed);
  ev_async_start(ev, &p.async);
  ev_run(ev, EVRUN_NOWAIT); // a refusal is told like a wake
  ev_set_userdata(ev, &p);
  ev_set_loop_release_cb(ev, probe_wake, NULL);
  ev_run(ev, EVRUN_NOWAIT);
  ev_async_stop(ev, &p.async);
  if (p.is_woken) return true;
  ev_async_start(ev, &p.async); // anew, since at its end libev forgets a descriptor that was refused
  ev_async_stop(ev, &p.async);
  return false;
}

int loop_init(struct loop *l, const struct clock *clock, bool with_poll) {
  *l = (struct loop){.clock = clock, .now = clock_now(clock), .told_max = LOOP_TOLD_MAX};
  list_init(&l->hooks);
  if (with_poll) {
    l->ev = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (!l->ev) return -1;
    if (!can_be_woken(l->ev)) {
      ev_loop_destroy(l->ev);
      l->ev = NULL;
      return -1;
    }
    l->poll = poll_new(l);
  }
  l->scratch = xmalloc(LOOP_SCRATCH_LEN);
  return 0;
}

const char *loop_open_batch(struct loop *l) {
  const char *why = NULL;
  if (!l->batch) l->batch = batch_new(&why);
  return why;
}

void loop_open_batch_of_memory(struct loop *l) { l->batch = batch_new_of_memory(); }

void loop_deinit(struct loop *l) {
  batch_free(l->batch);
  timer_heap_deinit(&l->timers);
  if (l->ev) ev_loop_destroy(l->ev);
  free(l->poll);
  l->ev = NULL, l->poll = NULL;
  free(l->scratch);
}

void loop_run(struct loop *l) {
  l->began = clock_now(l->clock);
  count_turn(l);
  ev_run(l->ev, 0);
  end_turns(l);
}

void loop_poll(struct loop *l, double seconds) {
  struct ev_timer patience;
  ev_init(&patience, on_alarm);
  ev_now_update(l->ev);
  ev_timer_set(&patience, seconds, 0);
  ev_timer_start(l->ev, &patience);
  l->began = clock_now(l->clock);
  count_turn(l);
  ev_run(l->ev, EVRUN_ONCE);
  end_turns(l);
  ev_timer_stop(l->ev, &patience);
}

void loop_stop(struct loop *l) {
  if (l->ev) ev_break(l->ev, EVBREAK_ALL);
}

const char *loop_library_version(void) {
  return LITERAL_OF(EV_VERSION_MAJOR) "." LITERAL_OF(EV_VERSION_MINOR);
}

void loop_wake(struct loop *l) {
  if (l->ev) ev_async_send(l->ev, &l->poll->wake);
}

bool loop_turn(struct loop *l) {
  l->began = l->now = clock_now(l->clock);
  return run_turn(l);
}

void loop_hook_add(struct loop *l, struct loop_hook *h) {
  list_append(&l->hooks, &h->link);
  if (l->next_hook == &l->hooks) l->next_hook = &h->link; // it runs in this turn too
}

void loop_hook_remove(struct loop *l, struct loop_hook *h) {
  if (l->next_hook == &h->link) l->next_hook = h->link.next;
  list_remove(&h->link);
}
