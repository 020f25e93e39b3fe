// SPDX-License-Identifier: MIT
// Intrusive doubly linked list with a sentinel. A node that is in no list points to itself, so removing it
// twice is harmless.
#pragma once
#include <stdbool.h>
#include "base/util.h"

struct list {
  struct list *next, *prev;
};

// Makes `l` an empty list, or a node in no list.
static inline void list_init(struct list *l) { l->next = l->prev = l; }

// True when the list has no node, or the node is in no list.
static inline bool list_empty(const struct list *l) { return l->next == l; }

// Links `node` in as the last of `l`; it must be in no list.
static inline void list_append(struct list *l, struct list *node) {
  node->prev = l->prev, node->next = l;
  l->prev->next = node, l->prev = node;
}

// Takes `node` out of whatever list it is in.
static inline void list_remove(struct list *node) {
  node->prev->next = node->next, node->next->prev = node->prev;
  list_init(node);
}

// Takes the first node out and returns it, or NULL from an empty list.
static inline struct list *list_shift(struct list *l) {
  if (list_empty(l)) return NULL;
  struct list *node = l->next;
  list_remove(node);
  return node;
}

// Moves all nodes of `from` to the end of `to`.
static inline void list_splice(struct list *to, struct list *from) {
  if (list_empty(from)) return;
  from->next->prev = to->prev, from->prev->next = to;
  to->prev->next = from->next, to->prev = from->prev;
  list_init(from);
}

// Walks the list; the body may remove `node` itself, and no other.
#define list_each(node, l)                                                    \
  for (struct list *node = (l)->next, *node##_next = node->next; node != (l); \
       node = node##_next, node##_next = node->next)
