// SPDX-License-Identifier: MIT
// A file is known by the hash of its content, not by its time: two saves within the same tick of the kernel's
// clock have the same one, and a symlink may lead elsewhere without any. A folder is known by its entries.
#include "base/sources.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/util.h"

enum { DEPTH_MAX = 16, ENTRIES_MAX = 20000, MISSING = 0 };
static const uint64_t SEED = 0x73706174;

struct source {
  struct map_node node;
  uint64_t hash;
  unsigned round;
  bool is_folder;
  char path[];
};

static struct source *source_of(struct map_node *node) { return container_of(node, struct source, node); }

void sources_init(struct sources *s) {
  *s = (struct sources){.round = 1};
  lock_init(&s->lock);
  map_init(&s->files, SEED);
}

static void source_drop(struct map_node *node, void *sources) {
  map_remove(&((struct sources *)sources)->files, node);
  free(source_of(node));
}

void sources_deinit(struct sources *s) {
  map_each(&s->files, source_drop, s);
  map_deinit(&s->files);
  lock_deinit(&s->lock);
}

void sources_begin(struct sources *s) {
  lock_take(&s->lock);
  s->round++;
  lock_release(&s->lock);
}

static void source_add(struct sources *s, const char *path, uint64_t hash, bool is_folder) {
  lock_take(&s->lock);
  struct map_node *node = map_find(&s->files, span_of(path));
  if (!node) {
    struct source *added = xcalloc(1, sizeof *added + strlen(path) + 1);
    strcpy(added->path, path);
    added->node.name = span_of(added->path);
    map_insert(&s->files, node = &added->node);
  }
  struct source *source = source_of(node);
  source->hash = hash, source->round = s->round, source->is_folder = is_folder;
  lock_release(&s->lock);
}

// 0 is kept for what is not there.
static uint64_t hash_content(struct span content) { return hash_bytes(content, SEED) | 1; }

static uint64_t hash_file(int fd) {
  struct buf b = {0};
  for (ssize_t n = 1; n > 0; b.len += (size_t)MAX(n, 0)) n = read(fd, buf_reserve(&b, 64 << 10), 64 << 10);
  uint64_t hash = hash_content(buf_span(&b));
  buf_deinit(&b);
  return hash;
}

struct walk {
  dev_t device; // what is mounted below is another matter
  size_t entries;
};

// The same whatever the order of the entries. Links are known by their own times, not followed.
static uint64_t hash_folder(const char *path, int depth, struct walk *w) {
  uint64_t sum = 1;
  DIR *d = depth < DEPTH_MAX ? opendir(path) : NULL;
  for (struct dirent *e; d && w->entries < ENTRIES_MAX && (e = readdir(d)); w->entries++) {
    struct stat st;
    if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) continue;
    char *below = xasprintf("%s/%s", path, e->d_name);
    char *entry = xasprintf("%s %lld %lld %ld", below, (long long)st.st_size, (long long)st.st_mtim.tv_sec,
                            st.st_mtim.tv_nsec);
    bool goes_on = S_ISDIR(st.st_mode) && st.st_dev == w->device;
    sum += goes_on ? hash_folder(below, depth + 1, w) : hash_bytes(span_of(entry), SEED);
    free(entry);
    free(below);
  }
  if (d) closedir(d);
  return sum | 1;
}

static uint64_t hash_path(const char *path, bool is_folder) {
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  uint64_t hash = MISSING;
  if (fd < 0 || fstat(fd, &st) < 0) st.st_mode = 0;
  if (is_folder && S_ISDIR(st.st_mode)) hash = hash_folder(path, 0, &(struct walk){.device = st.st_dev});
  if (!is_folder && S_ISREG(st.st_mode)) hash = hash_file(fd);
  if (fd >= 0) close(fd);
  return hash;
}

static void drop_old(struct map_node *node, void *sources) {
  if (source_of(node)->round != ((struct sources *)sources)->round) source_drop(node, sources);
}

static void renew_old(struct map_node *node, void *sources) {
  struct source *source = source_of(node);
  if (source->round != ((struct sources *)sources)->round)
    source->hash = hash_path(source->path, source->is_folder);
}

void sources_end(struct sources *s, bool is_loaded) {
  lock_take(&s->lock);
  map_each(&s->files, is_loaded ? drop_old : renew_old, s);
  lock_release(&s->lock);
}

void sources_add(struct sources *s, const char *path, struct span content) {
  source_add(s, path, hash_content(content), false);
}

void sources_add_missing(struct sources *s, const char *path) { source_add(s, path, MISSING, false); }

void sources_add_path(struct sources *s, const char *path) {
  struct stat st;
  bool is_folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
  source_add(s, path, hash_path(path, is_folder), is_folder);
}

static void compare(struct map_node *node, void *changed) {
  const struct source *source = source_of(node);
  if (!*(bool *)changed) *(bool *)changed = hash_path(source->path, source->is_folder) != source->hash;
}

bool sources_have_changed(struct sources *s) {
  bool changed = false;
  lock_take(&s->lock);
  map_each(&s->files, compare, &changed);
  lock_release(&s->lock);
  return changed;
}

struct visit {
  void (*fn)(const char *path, bool is_folder, void *arg);
  void *arg;
};

static void visit_source(struct map_node *node, void *arg) {
  const struct visit *v = arg;
  v->fn(source_of(node)->path, source_of(node)->is_folder, v->arg);
}

void sources_each(struct sources *s, void (*fn)(const char *path, bool is_folder, void *arg), void *arg) {
  lock_take(&s->lock);
  map_each(&s->files, visit_source, &(struct visit){fn, arg});
  lock_release(&s->lock);
}

size_t sources_count(struct sources *s) {
  lock_take(&s->lock);
  size_t count = s->files.count;
  lock_release(&s->lock);
  return count;
}
