// SPDX-License-Identifier: MIT
// The kernel has one watch per file and process, however often it is asked for: a mark is that watch, and its
// entries are those who asked, each for all names or for one. The last entry takes the mark back. Numbers of
// marks are not used again (inotify(7), for two billion of them), so late word of an old one finds none.
#include "client/file_watch.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>
#include "base/folders.h"
#include "base/mem.h"
#include "base/notices.h"

enum { ABOVE_MAX = 64 }; // folders that a path's own is looked for in

static const uint32_t OF_FOLDER = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE |
                                  IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_MASK_ADD,
                      OF_FILE = IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF | IN_MASK_ADD;

struct mark {
  struct map_node node;
  int number; // the kernel's, and the node's name
  struct list entries;
};

struct entry {
  struct list in_mark, in_watch;
  struct file_watch *watch;
  struct mark *mark; // NULL once the kernel has taken it back
  bool of_any_name;
  char name[]; // "" for the marked itself
};

static unsigned meaning_of(uint32_t what) {
  if (what & (IN_CREATE | IN_MOVED_TO)) return FILE_CREATED;
  if (what & (IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT))
    return FILE_REMOVED;
  return FILE_CHANGED;
}

static struct mark *find_mark(const struct file_watcher *fw, const int *number) {
  struct map_node *node = map_find(&fw->marks, (struct span){(const char *)number, sizeof *number});
  return node ? container_of(node, struct mark, node) : NULL;
}

static void free_mark(struct file_watcher *fw, struct mark *m) {
  map_remove(&fw->marks, &m->node);
  free(m);
}

// The kernel has: its entries are without one.
static void lose_mark(struct file_watcher *fw, struct mark *m) {
  for (struct list *node; (node = list_shift(&m->entries));)
    container_of(node, struct entry, in_mark)->mark = NULL;
  free_mark(fw, m);
}

static void tell_all(struct file_watcher *fw) {
  list_each (node, &fw->watches) {
    struct file_watch *w = container_of(node, struct file_watch, link);
    w->on_change(w, FILE_UNKNOWN, "");
  }
}

static bool concerns(const struct entry *e, const char *name) {
  return e->of_any_name || !*name || !strcmp(e->name, name);
}

static void on_notice(void *arg, const struct notice *n) {
  struct file_watcher *fw = arg;
  if (n->what & IN_Q_OVERFLOW) {
    tell_all(fw);
    return;
  }
  struct mark *m = find_mark(fw, &n->watch);
  if (!m) return;
  list_each (node, &m->entries) {
    struct entry *e = container_of(node, struct entry, in_mark);
    if (concerns(e, n->name)) e->watch->on_change(e->watch, meaning_of(n->what), n->name);
  }
  if (n->what & IN_IGNORED) lose_mark(fw, m);
}

static void on_ready(struct watch *watch, unsigned events) {
  (void)events;
  struct file_watcher *fw = container_of(watch, struct file_watcher, watch);
  notices_take(watch_fd(watch), on_notice, fw);
}

// Opened with the first mark: most workers need none.
static int open_watcher(struct file_watcher *fw) {
  if (fw->watch.loop) return 0;
  int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return errno;
  watch_start(&fw->watch, fw->loop, fd, WATCH_READ);
  return 0;
}

void file_watcher_init(struct file_watcher *fw, struct loop *loop) {
  *fw = (struct file_watcher){.watch = {.on_ready = on_ready}, .loop = loop};
  map_init(&fw->marks, (uintptr_t)fw);
  list_init(&fw->watches);
}

void file_watcher_deinit(struct file_watcher *fw) {
  if (fw->watch.loop) {
    int fd = watch_fd(&fw->watch);
    watch_stop(&fw->watch);
    close(fd);
  }
  map_deinit(&fw->marks);
}

static struct mark *mark_of(struct file_watcher *fw, int number) {
  struct mark *m = find_mark(fw, &number);
  if (m) return m;
  m = xmalloc(sizeof *m);
  *m = (struct mark){.number = number};
  m->node.name = (struct span){(const char *)&m->number, sizeof m->number};
  list_init(&m->entries);
  map_insert(&fw->marks, &m->node);
  return m;
}

// 0 or an errno. `name` NULL: of any name.
static int add(struct file_watch *w, const char *path, uint32_t mask, const char *name) {
  int error = open_watcher(w->watcher);
  if (error) return error;
  int number = inotify_add_watch(watch_fd(&w->watcher->watch), path, mask);
  if (number < 0) return errno;
  size_t len = name ? strlen(name) : 0;
  struct entry *e = xmalloc(sizeof *e + len + 1);
  *e = (struct entry){.watch = w, .mark = mark_of(w->watcher, number), .of_any_name = !name};
  memcpy(e->name, name ? name : "", len + 1);
  list_init(&e->in_mark);
  list_init(&e->in_watch);
  list_append(&e->mark->entries, &e->in_mark);
  list_append(&w->entries, &e->in_watch);
  return 0;
}

void file_watch_init(struct file_watch *w, struct file_watcher *fw) {
  w->watcher = fw;
  list_init(&w->link);
  list_init(&w->entries);
  list_append(&fw->watches, &w->link);
}

struct way {
  struct file_watch *watch;
  int error;
};

static void add_folder_on_way(void *arg, const char *folder, const char *name) {
  struct way *way = arg;
  char *above = xstrdup(folder), *last = xstrdup(name);
  int error;
  for (int i = 0; (error = add(way->watch, above, OF_FOLDER, last)) == ENOENT && i < ABOVE_MAX; i++) {
    char *slash = strrchr(above, '/'), *base = xstrdup(slash ? slash + 1 : above);
    bool is_top = !strcmp(above, ".") || !strcmp(above, "/");
    free(last), last = base;
    if (is_top) break;
    if (!slash) free(above), above = xstrdup(".");
    else if (slash == above) above[1] = 0;
    else *slash = 0;
  }
  if (error && error != ENOENT && error != ENOTDIR && error != EACCES) way->error = error;
  free(above), free(last);
}

int file_watch_add_way(struct file_watch *w, const char *path) {
  struct way way = {.watch = w};
  folders_each_on_way(path, add_folder_on_way, &way);
  return way.error;
}

int file_watch_add_open(struct file_watch *w, int fd) {
  char path[40];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return add(w, path, OF_FILE, "");
}

int file_watch_add_folder(struct file_watch *w, const char *path) { return add(w, path, OF_FOLDER, NULL); }

static void free_entry(struct entry *e) {
  struct file_watcher *fw = e->watch->watcher;
  struct mark *m = e->mark;
  list_remove(&e->in_mark);
  list_remove(&e->in_watch);
  free(e);
  if (!m || !list_empty(&m->entries)) return;
  inotify_rm_watch(watch_fd(&fw->watch), m->number);
  free_mark(fw, m);
}

void file_watch_clear(struct file_watch *w) {
  while (!list_empty(&w->entries)) free_entry(container_of(w->entries.next, struct entry, in_watch));
}

void file_watch_deinit(struct file_watch *w) {
  if (!w->watcher) return;
  file_watch_clear(w);
  list_remove(&w->link);
  w->watcher = NULL;
}
