// SPDX-License-Identifier: MIT
// The lock is held while a signal is sent, and while a group is taken out: what is reaped after that can not
// have been another's number.
#include "client/groups.h"
#include <signal.h>

void groups_init(struct groups *g) {
  *g = (struct groups){0};
  pthread_mutex_init(&g->lock, NULL);
  list_init(&g->all);
}

void groups_deinit(struct groups *g) { pthread_mutex_destroy(&g->lock); }

bool groups_enter(struct groups *g, size_t max) {
  pthread_mutex_lock(&g->lock);
  bool has_place = g->count < max;
  g->count += has_place;
  pthread_mutex_unlock(&g->lock);
  return has_place;
}

void groups_add(struct groups *g, struct group *group) {
  pthread_mutex_lock(&g->lock);
  list_append(&g->all, &group->link);
  pthread_mutex_unlock(&g->lock);
}

void groups_remove(struct groups *g, struct group *group) {
  pthread_mutex_lock(&g->lock);
  list_remove(&group->link);
  pthread_mutex_unlock(&g->lock);
}

void groups_leave(struct groups *g) {
  pthread_mutex_lock(&g->lock);
  g->count--;
  pthread_mutex_unlock(&g->lock);
}

void groups_signal(struct groups *g, int signal) {
  pthread_mutex_lock(&g->lock);
  list_each (node, &g->all) kill(-container_of(node, struct group, link)->id, signal);
  pthread_mutex_unlock(&g->lock);
}
