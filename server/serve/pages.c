// SPDX-License-Identifier: MIT
// A request that is held back has not met its store: its place in the list is its link on the way home, and
// its answer, where it waits for too long, is given here.
#include "serve/pages.h"
#include "store/store.h"

// So few at a time that a turn in which they all come is a short one, and that they hold some megabytes at
// most.
enum { PAGES_AT_ONCE = 32 };
static const double HELD_BACK_SECONDS = 30; // as long as a store that is slow may take for those before it

static struct store_request *first_of(const struct pages *p) {
  return container_of(p->waiting.next, struct store_request, job.done.link);
}

// The timer may be early, and looks again then.
static void watch_time(struct pages *p) {
  if (list_empty(&p->waiting)) loop_disarm(p->loop, &p->late);
  else if (!timer_is_armed(&p->late))
    loop_arm(p->loop, &p->late, first_of(p)->held_since + HELD_BACK_SECONDS);
}

static void refuse(struct store_request *r) {
  list_remove(&r->job.done.link);
  atomic_fetch_add(&r->channel->store->counters.refused_total, 1);
  r->answer = STORE_UNAVAILABLE, r->why = "busy";
  r->job.on_done(&r->job);
  store_request_unref(r); // the answer's reference
}

static void on_late(struct timer *t) {
  struct pages *p = container_of(t, struct pages, late);
  while (!list_empty(&p->waiting) && first_of(p)->held_since + HELD_BACK_SECONDS <= p->loop->now)
    refuse(first_of(p));
  watch_time(p);
}

void pages_init(struct pages *p, struct loop *l) {
  *p = (struct pages){.loop = l, .late = {.on_fire = on_late}};
  list_init(&p->waiting);
}

void pages_deinit(struct pages *p) { loop_disarm(p->loop, &p->late); }

void pages_ask(struct pages *p, struct store_request *r) {
  r->pages = p, r->is_held_back = p->asked == PAGES_AT_ONCE;
  if (!r->is_held_back) {
    p->asked++;
    store_ask(r);
    return;
  }
  r->held_since = p->loop->now;
  list_append(&p->waiting, &r->job.done.link);
  watch_time(p);
}

void pages_arrived(struct store_request *r) {
  struct pages *p = r->pages;
  if (r->is_held_back) { // and refused
    r->is_held_back = false;
    return;
  }
  struct list *node = list_shift(&p->waiting);
  if (!node) {
    p->asked--;
    return;
  }
  struct store_request *next = container_of(node, struct store_request, job.done.link);
  next->is_held_back = false;
  watch_time(p);
  store_ask(next);
}

void pages_leave(struct store_request *r) {
  if (r->is_held_back) {
    list_remove(&r->job.done.link);
    watch_time(r->pages);
    store_request_unref(r); // the answer's reference
  }
  store_request_unref(r);
}
