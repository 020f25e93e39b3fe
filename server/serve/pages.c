// SPDX-License-Identifier: MIT
// A crowd that comes back wants the same: it reads page by page in convoy, as a page can be joined until the
// first who waits for it is told. All are told by shares, so that a turn is short.
#include "serve/pages.h"
#include <stdlib.h>
#include "base/mem.h"

// Of as many events as make some megabytes at most; and so many are told in a turn.
enum { PAGES_AT_ONCE = 32 };
static const double HELD_SECONDS = 30; // as long as a store that is slow may take for those before it

static struct page *first_of(const struct list *l) { return container_of(l->next, struct page, link); }

static void move(struct page *p, struct list *to) {
  list_remove(&p->link);
  list_append(to, &p->link);
}

// The timer may be early, and looks again then.
static void watch_time(struct pages *p) {
  if (list_empty(&p->held)) loop_disarm(p->loop, &p->late);
  else if (!timer_is_armed(&p->late)) loop_arm(p->loop, &p->late, first_of(&p->held)->since + HELD_SECONDS);
}

static void close_to_others(struct page *p) {
  if (p->node.name.len) map_remove(&p->pages->by_key, &p->node);
  p->node.name.len = 0;
}

static void page_free(struct page *p) {
  close_to_others(p);
  list_remove(&p->link);
  if (!p->is_asked) store_request_unref(p->request); // the answer's reference
  store_request_unref(p->request);
  free(p);
}

void page_unref(struct page *p) {
  struct pages *pages = p->pages;
  p->refs--;
  bool is_unwanted = p->refs == 1 && !p->is_asked && list_empty(&p->waiters);
  if (p->refs && !is_unwanted) return;
  page_free(p);
  watch_time(pages);
}

static void send(struct page *p) {
  p->is_asked = true;
  p->pages->asked_count++;
  move(p, &p->pages->asked);
  store_ask(p->request);
}

// All who wanted it have been told.
static void page_end(struct page *p) {
  struct pages *pages = p->pages;
  list_remove(&p->link);
  close_to_others(p);
  if (p->is_asked) pages->asked_count--;
  page_unref(p);
  if (pages->asked_count < PAGES_AT_ONCE && !list_empty(&pages->held)) send(first_of(&pages->held));
  watch_time(pages);
}

static void on_done(struct job *j) {
  struct page *p = container_of(j, struct store_request, job)->page;
  move(p, &p->pages->come);
}

static bool is_ready(struct loop_hook *h) { return !list_empty(&container_of(h, struct pages, hook)->come); }

static bool tell(struct loop_hook *h) {
  struct pages *p = container_of(h, struct pages, hook);
  for (int left = PAGES_AT_ONCE; left > 0 && !list_empty(&p->come); left--) {
    struct page *page = first_of(&p->come);
    struct list *waiter = list_shift(&page->waiters);
    close_to_others(page); // whom it has not brought on is to ask anew
    if (waiter) page->on_page(waiter, page);
    else page_end(page);
  }
  return !list_empty(&p->come);
}

static void refuse(struct page *p) {
  struct store_request *r = p->request;
  atomic_fetch_add(&r->channel->store->counters.refused_total, 1);
  r->answer = STORE_UNAVAILABLE, r->why = "busy";
  move(p, &p->pages->come);
}

static void on_late(struct timer *t) {
  struct pages *p = container_of(t, struct pages, late);
  while (!list_empty(&p->held) && first_of(&p->held)->since + HELD_SECONDS <= p->loop->now)
    refuse(first_of(&p->held));
  watch_time(p);
}

void pages_init(struct pages *p, struct loop *l) {
  *p = (struct pages){.loop = l, .late = {.on_fire = on_late}, .hook = {.run = tell, .is_ready = is_ready}};
  map_init(&p->by_key, map_seed(p));
  list_init(&p->held);
  list_init(&p->asked);
  list_init(&p->come);
  loop_hook_add(l, &p->hook);
}

// What is on its way frees itself when it comes.
void pages_deinit(struct pages *p) {
  for (; !list_empty(&p->asked); page_free(first_of(&p->asked)))
    job_abandon(&first_of(&p->asked)->request->job);
  while (!list_empty(&p->come)) page_free(first_of(&p->come));
  loop_disarm(p->loop, &p->late);
  loop_hook_remove(p->loop, &p->hook);
  map_deinit(&p->by_key);
}

static struct page *page_new(struct pages *p, struct inbox *home, const struct page_key *key) {
  struct page *page = xcalloc(1, sizeof *page);
  page->key = *key, page->pages = p, page->refs = 1, page->since = p->loop->now;
  page->request = store_request_new(key->channel, STORE_READ, NULL, 0, home, on_done);
  page->request->at = key->at, page->request->last = key->last, page->request->page = page;
  list_init(&page->link);
  list_init(&page->waiters);
  if (key->last <= 0) { // the newest so many are those of now, and nobody else's
    page->node.name = (struct span){(const char *)&page->key, sizeof page->key};
    map_insert(&p->by_key, &page->node);
  }
  return page;
}

static void begin(struct page *page) {
  struct pages *p = page->pages;
  if (p->asked_count < PAGES_AT_ONCE) {
    send(page);
  } else {
    list_append(&p->held, &page->link);
    watch_time(p);
  }
}

struct page *pages_ask(struct pages *p, struct inbox *home, const struct page_key *key, struct list *waiter,
                       page_fn *on_page) {
  struct map_node *node = map_find(&p->by_key, (struct span){(const char *)key, sizeof *key});
  struct page *page = node ? container_of(node, struct page, node) : page_new(p, home, key);
  page->refs++, page->on_page = on_page;
  list_append(&page->waiters, waiter);
  if (!node) begin(page);
  return page;
}
