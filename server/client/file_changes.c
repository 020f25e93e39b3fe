// SPDX-License-Identifier: MIT
// A change that waits already is not told twice: a file that is written a thousand times before anybody asks
// has changed once. Where more wait than there is room for, all of it is one change, of everything. What the
// path leads to is told by the folders on its way, so that it may go and come again.
#include "client/file_changes.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "serve/metrics.h"

static const double BLIND_SECONDS = 1; // until the next try, where the user has no watches left

struct file_change {
  struct list link;
  unsigned what;
  char name[];
};

static void shift_change(struct file_changes *c) {
  struct list *node = list_shift(&c->queue);
  c->count -= node != NULL;
  if (node) free(container_of(node, struct file_change, link));
}

static void put_change(struct file_changes *c, unsigned what, const char *name) {
  size_t len = strlen(name);
  struct file_change *change = xmalloc(sizeof *change + len + 1);
  change->what = what;
  memcpy(change->name, name, len + 1);
  list_init(&change->link);
  list_append(&c->queue, &change->link);
  c->count++;
}

static void lose_count(struct file_changes *c) {
  while (c->count) shift_change(c);
  c->has_more = true;
}

static bool waits_last(const struct file_changes *c, unsigned what, const char *name) {
  if (list_empty(&c->queue)) return false;
  const struct file_change *last = container_of(c->queue.prev, struct file_change, link);
  return last->what == what && !strcmp(last->name, name);
}

static void add_change(struct file_changes *c, unsigned what, const char *name) {
  if (c->has_more || waits_last(c, what, name)) return;
  if (what == FILE_UNKNOWN || c->count == CHANGES_MAX) lose_count(c);
  else put_change(c, what, name);
  c->on_news(c);
}

static void on_way(struct file_watch *w, unsigned what, const char *name) {
  struct file_changes *c = container_of(w, struct file_changes, way);
  (void)name;
  if (c->is_folder && what == FILE_CHANGED) return;
  c->is_lost |= what != FILE_CHANGED;
  add_change(c, what, "");
}

static void on_inside(struct file_watch *w, unsigned what, const char *name) {
  struct file_changes *c = container_of(w, struct file_changes, inside);
  if (!*name) on_way(&c->way, what, name);
  else add_change(c, what, name);
}

static void on_timer(struct timer *t) {
  struct file_changes *c = container_of(t, struct file_changes, timer);
  c->on_news(c);
}

// 0 or an errno. The way first: what is replaced in between is told by it.
static int mark(struct file_changes *c) {
  file_watch_clear(&c->way);
  file_watch_clear(&c->inside);
  int error = file_watch_add_way(&c->way, c->path);
  if (!error) error = file_watch_add_folder(&c->inside, c->path);
  c->is_folder = !error, c->is_lost = false;
  return error == ENOTDIR || error == ENOENT ? 0 : error;
}

// Where there is no watch left it tries again now and then; what happens meanwhile is not seen.
static void mark_again(struct file_changes *c) {
  struct loop *loop = c->service->loop;
  if (timer_is_armed(&c->timer)) return;
  if (mark(c)) {
    c->is_lost = c->is_blind = true;
    loop_arm(loop, &c->timer, loop->now + BLIND_SECONDS);
  } else if (c->is_blind) {
    c->is_blind = false;
    lose_count(c);
  }
}

// A name that ends in a slash is no other.
static char *without_end(const char *path) {
  size_t len = strlen(path);
  while (len > 1 && path[len - 1] == '/') len--;
  return xstrndup(path, len);
}

struct file_changes *file_changes_open(struct service *s, const char *path, void *owner,
                                       void (*on_news)(struct file_changes *c), int *error) {
  *error = EDQUOT;
  if (s->counters.files_followed >= s->settings->limits.files) return NULL;
  struct file_changes *c = xmalloc(sizeof *c);
  *c = (struct file_changes){.service = s,
                             .way = {.on_change = on_way},
                             .inside = {.on_change = on_inside},
                             .path = without_end(path),
                             .timer = {.on_fire = on_timer},
                             .owner = owner,
                             .on_news = on_news};
  list_init(&c->queue);
  file_watch_init(&c->way, s->file_watcher);
  file_watch_init(&c->inside, s->file_watcher);
  counter_add(&s->counters.files_followed, 1);
  *error = mark(c);
  if (!*error) return c;
  file_changes_free(c);
  return NULL;
}

bool file_changes_peek(struct file_changes *c, unsigned *what, const char **name) {
  if (c->is_lost) mark_again(c);
  *what = FILE_UNKNOWN, *name = "";
  if (c->has_more) return true;
  if (!c->count) return false;
  const struct file_change *first = container_of(c->queue.next, struct file_change, link);
  *what = first->what, *name = first->name;
  return true;
}

void file_changes_drop(struct file_changes *c) {
  if (c->has_more) c->has_more = false;
  else shift_change(c);
}

void file_changes_free(struct file_changes *c) {
  counter_add(&c->service->counters.files_followed, -1);
  loop_disarm(c->service->loop, &c->timer);
  file_watch_deinit(&c->way);
  file_watch_deinit(&c->inside);
  while (c->count) shift_change(c);
  free(c->path);
  free(c);
}
