// SPDX-License-Identifier: MIT
// A mutex and a list. The list is swapped out whole, so a poster waits for two pointer writes at most.
#include "loop/inbox.h"

void inbox_deliver(struct inbox *b) {
  struct list arrived;
  list_init(&arrived);
  pthread_mutex_lock(&b->lock);
  list_splice(&arrived, &b->messages);
  pthread_mutex_unlock(&b->lock);
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
  struct inbox *b = container_of(h, struct inbox, hook);
  pthread_mutex_lock(&b->lock);
  bool any = !list_empty(&b->messages);
  pthread_mutex_unlock(&b->lock);
  return any;
}

void inbox_init(struct inbox *b, struct loop *l) {
  *b = (struct inbox){.loop = l, .hook = {.run = inbox_drain, .is_ready = has_messages}};
  pthread_mutex_init(&b->lock, NULL);
  list_init(&b->messages);
  loop_hook_add(l, &b->hook);
}

void inbox_deinit(struct inbox *b) {
  inbox_deliver(b);
  loop_hook_remove(b->loop, &b->hook);
  pthread_mutex_destroy(&b->lock);
}

void inbox_post(struct inbox *b, struct message *m) {
  pthread_mutex_lock(&b->lock);
  list_append(&b->messages, &m->link);
  pthread_mutex_unlock(&b->lock);
  loop_wake(b->loop);
}
