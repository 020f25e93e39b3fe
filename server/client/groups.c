// SPDX-License-Identifier: MIT
// The lock is held while a signal is sent, and while a group is taken out: what is reaped after that can not
// have been another's number.
#include "client/groups.h"
#include "base/lock.h"
#include <signal.h>

void groups_init(struct groups *g) {
  *g = (struct groups){0};
  lock_init(&g->lock);
  list_init(&g->all);
}

void groups_deinit(struct groups *g) { lock_deinit(&g->lock); }

bool groups_enter(struct groups *g, size_t max) {
  lock_take(&g->lock);
  bool has_place = g->count < max;
  g->count += has_place;
  lock_release(&g->lock);
  return has_place;
}

void groups_add(struct groups *g, struct group *group) {
  lock_take(&g->lock);
  list_append(&g->all, &group->link);
  lock_release(&g->lock);
}

void groups_remove(struct groups *g, struct group *group) {
  lock_take(&g->lock);
  list_remove(&group->link);
  lock_release(&g->lock);
}

void groups_leave(struct groups *g) {
  lock_take(&g->lock);
  g->count--;
  lock_release(&g->lock);
}

void groups_signal(struct groups *g, int signal) {
  lock_take(&g->lock);
  list_each (node, &g->all) kill(-container_of(node, struct group, link)->id, signal);
  lock_release(&g->lock);
}
