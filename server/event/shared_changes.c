// SPDX-License-Identifier: MIT
// A change is taken as a copy, so that its keeper writes it without the dictionary's lock.
#include "event/shared_changes.h"
#include <stdlib.h>
#include "base/mem.h"

enum { OVERHEAD = 48 }; // of allocator and buckets

struct changed {
  struct map_node node;
  char key[];
};

void shared_changes_init(struct shared_changes *c, uint64_t seed) { map_init(&c->keys, seed); }

void shared_changes_deinit(struct shared_changes *c) { map_deinit(&c->keys); }

size_t shared_changes_cost(size_t key_len) { return sizeof(struct changed) + key_len + OVERHEAD; }

bool shared_changes_add(struct shared_changes *c, struct span key) {
  if (map_find(&c->keys, key)) return false;
  struct changed *one = xcalloc(1, sizeof *one + key.len);
  if (key.len) memcpy(one->key, key.bytes, key.len);
  one->node.name = (struct span){one->key, key.len};
  map_insert(&c->keys, &one->node);
  return true;
}

void shared_changes_drop(struct shared_changes *c, struct map_node *node) {
  map_remove(&c->keys, node);
  free(container_of(node, struct changed, node));
}

static char *copy_span(struct span *s, char *to) {
  if (s->len) memcpy(to, s->bytes, s->len);
  s->bytes = to;
  return to + s->len;
}

struct shared_change *shared_change_new(struct span dictionary, struct span key, const struct shared_value *v,
                                        double deadline) {
  struct shared_value value = v ? *v : (struct shared_value){.type = SHARED_NIL};
  struct shared_change *c = xmalloc(sizeof *c + dictionary.len + key.len + shared_value_len(&value));
  *c = (struct shared_change){.dictionary = dictionary, .key = key, .value = value, .deadline = deadline};
  char *to = copy_span(&c->key, copy_span(&c->dictionary, c->texts));
  if (value.type == SHARED_STRING) copy_span(&c->value.string, to);
  return c;
}

void shared_change_free(struct shared_change *c) { free(c); }
