// SPDX-License-Identifier: MIT
// A member is one allocation with its two texts behind it, in a table by its id and in a list by its age.
#include "event/members.h"
#include <stdlib.h>
#include "base/mem.h"

struct member {
  struct map_node node;
  struct list link;
  unsigned count; // how often it has joined
  size_t meta_len;
  char texts[]; // id and meta
};

static struct member *member_of(struct list *link) { return container_of(link, struct member, link); }

void members_init(struct members *m, uint64_t seed) {
  *m = (struct members){0};
  map_init(&m->by_id, seed);
  list_init(&m->in_order);
}

static void member_drop(struct members *m, struct member *member) {
  map_remove(&m->by_id, &member->node);
  list_remove(&member->link);
  m->count--;
  free(member);
}

void members_deinit(struct members *m) {
  while (m->count) member_drop(m, member_of(m->in_order.next));
  map_deinit(&m->by_id);
}

static struct member *member_find(const struct members *m, struct span id) {
  struct map_node *node = map_find(&m->by_id, id);
  return node ? container_of(node, struct member, node) : NULL;
}

static struct member *member_add(struct members *m, struct span id, struct span meta) {
  struct member *member = xcalloc(1, sizeof *member + id.len + 1 + meta.len + 1);
  memcpy(member->texts, id.bytes, id.len);
  memcpy(member->texts + id.len + 1, meta.bytes, meta.len);
  member->node.name = (struct span){member->texts, id.len}, member->meta_len = meta.len;
  map_insert(&m->by_id, &member->node);
  list_append(&m->in_order, &member->link);
  m->count++;
  return member;
}

bool members_join(struct members *m, struct span id, struct span meta) {
  struct member *old = member_find(m, id), *member = old ? old : member_add(m, id, meta);
  member->count++;
  return !old;
}

bool members_leave(struct members *m, struct span id) {
  struct member *member = member_find(m, id);
  if (!member || --member->count) return false;
  member_drop(m, member);
  return true;
}

void members_list(const struct members *m, struct buf *out) {
  list_each (link, &m->in_order) {
    const struct member *member = member_of(link);
    buf_append(out, member->texts, member->node.name.len + 1 + member->meta_len + 1);
  }
}
