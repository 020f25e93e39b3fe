// SPDX-License-Identifier: MIT
// A path is watched at each of the links that it leads over, since a deployment often moves one of those. How
// deep, and how many, is bounded: what is beyond is not watched, and a save there goes unnoticed.
#include "base/folders.h"
#include <dirent.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/notices.h"

enum { LINKS_MAX = 32, DEPTH_MAX = 16, FOLDERS_MAX = 4096 };

// No IN_MODIFY: a log that grows beside the script would keep it from ever being quiet.
static const uint32_t EVENTS = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                               IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

int folders_open(void) { return inotify_init1(IN_NONBLOCK | IN_CLOEXEC); }

int folders_add(int fd, const char *path) { return inotify_add_watch(fd, path, EVENTS); }

struct way {
  void (*fn)(void *arg, const char *folder, const char *name);
  void *arg;
};

static void go_way(const struct way *w, const char *path, int links) {
  char *way = xstrdup(path), target[4096];
  for (char *slash = way; slash; slash = strchr(slash + 1, '/')) {
    char *next = strchr(slash + 1, '/');
    if (next) *next = 0;
    ssize_t n = links ? readlink(way, target, sizeof target - 1) : -1;
    bool is_link = n > 0;
    if (is_link || !next) {
      char *last = strrchr(way, '/'), *folder = last ? xstrndup(way, (size_t)(last - way)) : xstrdup(".");
      w->fn(w->arg, *folder ? folder : "/", last ? last + 1 : way);
      if (is_link) {
        target[n] = 0;
        char *leads = *target == '/'
                          ? xasprintf("%s%s%s", target, next ? "/" : "", next ? next + 1 : "")
                          : xasprintf("%s/%s%s%s", folder, target, next ? "/" : "", next ? next + 1 : "");
        go_way(w, leads, links - 1);
        free(leads);
      }
      free(folder);
    }
    if (next) *next = '/';
    if (is_link) break;
  }
  free(way);
}

void folders_each_on_way(const char *path, void (*fn)(void *arg, const char *folder, const char *name),
                         void *arg) {
  go_way(&(struct way){fn, arg}, path, LINKS_MAX);
}

static void add_one(void *fd, const char *folder, const char *name) {
  (void)name;
  folders_add(*(int *)fd, folder);
}

void folders_add_way(int fd, const char *path) { folders_each_on_way(path, add_one, &fd); }

static void add_below(int fd, const char *path, int depth) {
  if (folders_add(fd, path) > FOLDERS_MAX) return; // watches are numbered
  DIR *d = depth < DEPTH_MAX ? opendir(path) : NULL;
  for (struct dirent *e; d && (e = readdir(d));) {
    if (e->d_type != DT_DIR || e->d_name[0] == '.') continue;
    char *below = xasprintf("%s/%s", path, e->d_name);
    add_below(fd, below, depth + 1);
    free(below);
  }
  if (d) closedir(d);
}

void folders_add_below(int fd, const char *path) { add_below(fd, path, 0); }

struct reading {
  void (*fn)(void *arg, int folder, const char *name);
  void *arg;
};

static void on_notice(void *arg, const struct notice *n) {
  const struct reading *r = arg;
  if (r->fn && *n->name) r->fn(r->arg, n->watch, n->name);
}

bool folders_read(int fd, void (*fn)(void *arg, int folder, const char *name), void *arg) {
  return notices_take(fd, on_notice, &(struct reading){fn, arg});
}
