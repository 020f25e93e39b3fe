// SPDX-License-Identifier: MIT
// A stream without tags costs nothing but a pointer, so that a million of them need not know of this.
#include "serve/tags.h"
#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "base/mem.h"
#include "serve/stream.h"

struct tag {
  struct map_node node;
  struct list taggings;
  char name[];
};

struct span tag_name(const struct tag *t) {
  return t->node.name;
}

static struct tag *find(struct service *s, struct span name) {
  struct map_node *node = map_find(&s->tags, name);
  return node ? container_of(node, struct tag, node) : NULL;
}

static struct tag *tag_new(struct service *s, struct span name) {
  struct tag *t = xmalloc(sizeof *t + name.len);
  memcpy(t->name, name.bytes, name.len);
  t->node.name = (struct span){t->name, name.len};
  list_init(&t->taggings);
  map_insert(&s->tags, &t->node);
  return t;
}

bool tags_add(struct stream *s, struct span name) {
  size_t count = 0;
  for (struct tagging *t = s->tags; t; t = t->next, count++)
    if (span_equal(tag_name(t->tag), name)) return true;
  if (count == TAGS_MAX) return false;
  struct tag *tag = find(stream_service(s), name);
  struct tagging *t = xmalloc(sizeof *t);
  *t = (struct tagging){.next = s->tags, .stream = s, .tag = tag ? tag : tag_new(stream_service(s), name)};
  list_init(&t->link);
  list_append(&t->tag->taggings, &t->link);
  s->tags = t;
  return true;
}

static void tag_free(struct service *s, struct tag *t) {
  map_remove(&s->tags, &t->node);
  free(t);
}

void tags_free(struct stream *s) {
  for (struct tagging *t; (t = s->tags);) {
    s->tags = t->next;
    list_remove(&t->link);
    if (list_empty(&t->tag->taggings)) tag_free(stream_service(s), t->tag);
    free(t);
  }
}

struct list *tags_find(struct service *s, struct span name) {
  struct tag *t = find(s, name);
  return t ? &t->taggings : NULL;
}
