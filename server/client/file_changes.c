// SPDX-License-Identifier: MIT
// A change that waits already is not told twice: a file that is written a thousand times before anybody asks
// has changed once. Where more wait than there is room for, all of it is one change, of everything.
#include "client/file_changes.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "serve/metrics.h"

static void forget_queue(struct file_changes *c) {
  for (struct list *node; (node = list_shift(&c->queue));) free(container_of(node, struct file_change, link));
  c->count = 0;
}

static struct file_change *change_new(unsigned what, const char *name) {
  size_t len = strlen(name);
  struct file_change *change = xmalloc(sizeof *change + len + 1);
  change->what = what;
  memcpy(change->name, name, len + 1);
  list_init(&change->link);
  return change;
}

static bool waits_last(const struct file_changes *c, unsigned what, const char *name) {
  if (list_empty(&c->queue)) return false;
  const struct file_change *last = container_of(c->queue.prev, struct file_change, link);
  return last->what == what && !strcmp(last->name, name);
}

static void on_change(struct file_watch *w, unsigned what, const char *name) {
  struct file_changes *c = container_of(w, struct file_changes, watch);
  bool is_of_folder = c->is_folder && !*name;
  if (is_of_folder && what == FILE_CHANGED) return;
  if (!c->is_folder) name = "";
  c->is_lost |= !c->is_folder && what != FILE_CHANGED;
  if (c->has_more || waits_last(c, what, name)) return;
  if (what == FILE_UNKNOWN || c->count == CHANGES_MAX) {
    forget_queue(c);
    c->has_more = true;
  } else {
    list_append(&c->queue, &change_new(what, name)->link);
    c->count++;
  }
  c->on_news(c);
}

// 0 or an errno. What is no folder is watched by its name, also where it is not there yet.
static int mark(struct file_changes *c) {
  file_watch_clear(&c->watch);
  int error = file_watch_add_folder(&c->watch, c->path);
  c->is_folder = !error, c->is_lost = false;
  return error == ENOTDIR || error == ENOENT ? file_watch_add_way(&c->watch, c->path) : error;
}

struct file_changes *file_changes_open(struct service *s, const char *path, void *owner,
                                       void (*on_news)(struct file_changes *c), int *error) {
  *error = EDQUOT;
  if (s->counters.files_followed >= s->settings->limits.files) return NULL;
  struct file_changes *c = xmalloc(sizeof *c);
  *c = (struct file_changes){.service = s,
                             .watch = {.on_change = on_change},
                             .path = xstrdup(path),
                             .owner = owner,
                             .on_news = on_news};
  list_init(&c->queue);
  file_watch_init(&c->watch, s->file_watcher);
  counter_add(&s->counters.files_followed, 1);
  *error = mark(c);
  if (!*error) return c;
  file_changes_free(c);
  return NULL;
}

struct file_change *file_changes_take(struct file_changes *c) {
  if (c->is_lost) mark(c);
  if (c->has_more) {
    c->has_more = false;
    return change_new(FILE_UNKNOWN, "");
  }
  struct list *node = list_shift(&c->queue);
  c->count -= node != NULL;
  return node ? container_of(node, struct file_change, link) : NULL;
}

void file_changes_free(struct file_changes *c) {
  counter_add(&c->service->counters.files_followed, -1);
  file_watch_deinit(&c->watch);
  forget_queue(c);
  free(c->path);
  free(c);
}
