// SPDX-License-Identifier: MIT
// A request that nothing stands for is refused in the turn in which it is made.
#include "harness/stub_fetcher.h"
#include <stdlib.h>
#include "base/mem.h"
#include "serve/service.h"

struct stub_fetch {
  struct fetch fetch;
  struct list link;
};

static struct fetch *open_stub(struct fetcher *r, const struct fetch_request *request) {
  struct stub_fetcher *s = container_of(r, struct stub_fetcher, fetcher);
  struct stub_fetch *f = xcalloc(1, sizeof *f);
  (void)request;
  fetch_init(&f->fetch, r);
  list_init(&f->link);
  list_append(&s->waiting, &f->link);
  return &f->fetch;
}

static void ignore(struct fetch *f) { (void)f; }

static void free_stub(struct fetch *f) {
  struct stub_fetch *s = container_of(f, struct stub_fetch, fetch);
  list_remove(&s->link);
  fetch_deinit(f);
  free(s);
}

static const struct fetcher_ops ops = {
    .open = open_stub, .resume = ignore, .send = ignore, .free = free_stub};

static bool has_work(struct loop_hook *h) {
  return !list_empty(&container_of(h, struct stub_fetcher, fetcher.hook)->waiting);
}

static bool run(struct loop_hook *h) {
  struct stub_fetcher *s = container_of(h, struct stub_fetcher, fetcher.hook);
  for (struct list *node; (node = list_shift(&s->waiting));)
    fetch_tell_end(&container_of(node, struct stub_fetch, link)->fetch, FETCH_REFUSED,
                   "no stub for this request");
  return false;
}

void stub_fetcher_init(struct stub_fetcher *s, struct service *service) {
  *s = (struct stub_fetcher){
      .fetcher = {.ops = &ops, .service = service, .hook = {.run = run, .is_ready = has_work}}};
  list_init(&s->fetcher.hook.link);
  list_init(&s->waiting);
  service->fetcher = &s->fetcher;
}

void stub_fetcher_deinit(struct stub_fetcher *s) {
  loop_hook_remove(s->fetcher.service->loop, &s->fetcher.hook);
}
