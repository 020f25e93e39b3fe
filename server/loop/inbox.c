// SPDX-License-Identifier: MIT
// A mutex and a list. The list is swapped out whole, so a poster waits for two pointer writes at most.
#include "loop/inbox.h"
#include "base/lock.h"

void inbox_deliver(struct inbox *b) {
  struct list arrived;
  if (!atomic_load_explicit(&b->has_any, memory_order_acquire)) return;
  list_init(&arrived);
  lock_take(&b->lock);
  list_splice(&arrived, &b->messages);
  atomic_store_explicit(&b->has_any, false, memory_order_relaxed);
  lock_release(&b->lock);
  for (struct list *node; (node = list_shift(&arrived));) {
    struct message *m = container_of(node, struct message, link);
    m->deliver(m);
  }
}

static bool inbox_drain(struct loop_hook *h) {
  inbox_deliver(container_of(h, struct inbox, hook));
  return false;
}

static bool has_messages(struct loop_hook *h) {
  return atomic_load_explicit(&container_of(h, struct inbox, hook)->has_any, memory_order_acquire);
}

void inbox_init(struct inbox *b, struct loop *l) {
  *b = (struct inbox){.loop = l, .hook = {.run = inbox_drain, .is_ready = has_messages}};
  lock_init(&b->lock);
  list_init(&b->messages);
  loop_hook_add(l, &b->hook);
}

void inbox_deinit(struct inbox *b) {
  inbox_deliver(b);
  loop_hook_remove(b->loop, &b->hook);
  lock_deinit(&b->lock);
}

void inbox_post(struct inbox *b, struct message *m) {
  lock_take(&b->lock);
  list_append(&b->messages, &m->link);
  atomic_store_explicit(&b->has_any, true, memory_order_release);
  lock_release(&b->lock);
  loop_wake(b->loop);
}
