// SPDX-License-Identifier: MIT
// Folders are watched, not files: editors write a new file and rename it, and a file may be gone for a
// moment. An event only says that it is time to look; whether something has changed is said by the content.
// Changes are looked at once none has followed for a moment, or when they have gone on for long; and every
// two seconds in any case, for what inotify does not see (network file systems).
#include "process/watch.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"

enum { LINKS_MAX = 32, DEPTH_MAX = 16 };
static const double QUIET_SECONDS = 0.05, LONG_SECONDS = 2, POLL_SECONDS = 2;

// No IN_MODIFY: a log that grows beside the script would keep it from ever being quiet.
static const uint32_t EVENTS = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                               IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

static void look(struct watch *w) {
  w->first_at = -1;
  loop_disarm(w->loop, &w->quiet);
  if (sources_have_changed(&w->sources)) w->on_change(w);
}

static void on_quiet(struct timer *t) { look(container_of(t, struct watch, quiet)); }

static void note_change(struct watch *w) {
  double now = w->loop->now;
  if (w->first_at < 0) w->first_at = now;
  loop_arm(w->loop, &w->quiet, MIN(now + QUIET_SECONDS, w->first_at + LONG_SECONDS));
}

static void on_poll(struct timer *t) {
  struct watch *w = container_of(t, struct watch, poll);
  loop_arm(w->loop, t, w->loop->now + POLL_SECONDS);
  if (sources_count(&w->sources) != w->watched) watch_update(w); // scripts read files while they run, too
  else if (w->first_at < 0 && sources_have_changed(&w->sources)) note_change(w); // it may be half written
}

static void on_readable(struct readable *r) {
  struct watch *w = container_of(r, struct watch, readable);
  char events[16 << 10] __attribute__((aligned(8)));
  while (read(readable_fd(r), events, sizeof events) > 0) continue;
  note_change(w);
}

static void stop(struct watch *w) {
  if (!w->readable.loop) return;
  int fd = readable_fd(&w->readable);
  readable_stop(&w->readable);
  close(fd);
}

static void add_folder(struct watch *w, const char *path) {
  inotify_add_watch(readable_fd(&w->readable), path, EVENTS);
}

// The folders through which `path` is reached: its own, and where a symlink lies on the way, the link's and
// those of what it leads to.
static void add_way(struct watch *w, const char *path, int links) {
  char *way = xstrdup(path), target[4096];
  for (char *slash = way; slash; slash = strchr(slash + 1, '/')) {
    char *next = strchr(slash + 1, '/');
    if (next) *next = 0;
    ssize_t n = links ? readlink(way, target, sizeof target - 1) : -1;
    bool is_link = n > 0;
    if (is_link || !next) {
      char *last = strrchr(way, '/'), *folder = last ? xstrndup(way, (size_t)(last - way)) : xstrdup(".");
      add_folder(w, *folder ? folder : "/");
      if (is_link) {
        target[n] = 0;
        char *leads = *target == '/'
                          ? xasprintf("%s%s%s", target, next ? "/" : "", next ? next + 1 : "")
                          : xasprintf("%s/%s%s%s", folder, target, next ? "/" : "", next ? next + 1 : "");
        add_way(w, leads, links - 1);
        free(leads);
      }
      free(folder);
    }
    if (next) *next = '/';
    if (is_link) break;
  }
  free(way);
}

static void add_below(struct watch *w, const char *path, int depth) {
  add_folder(w, path);
  DIR *d = depth < DEPTH_MAX ? opendir(path) : NULL;
  for (struct dirent *e; d && (e = readdir(d));) {
    if (e->d_type != DT_DIR || e->d_name[0] == '.') continue;
    char *below = xasprintf("%s/%s", path, e->d_name);
    add_below(w, below, depth + 1);
    free(below);
  }
  if (d) closedir(d);
}

static void add_source(const char *path, bool is_folder, void *watch) {
  add_way(watch, path, LINKS_MAX);
  if (is_folder) add_below(watch, path, 0);
}

void watch_update(struct watch *w) {
  stop(w);
  w->watched = sources_count(&w->sources);
  int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) log_message(LOG_WARN, "no inotify: changes are noticed every %g seconds", POLL_SECONDS);
  else {
    readable_start(&w->readable, w->loop, fd);
    sources_each(&w->sources, add_source, w);
  }
  note_change(w); // what was saved before this
}

void watch_open(struct watch *w, struct loop *loop, void (*on_change)(struct watch *w)) {
  *w = (struct watch){.loop = loop, .on_change = on_change, .first_at = -1};
  sources_init(&w->sources);
  w->readable.on_readable = on_readable;
  w->quiet.on_fire = on_quiet, w->poll.on_fire = on_poll;
  loop_arm(loop, &w->poll, loop->now + POLL_SECONDS);
}

void watch_close(struct watch *w) {
  stop(w);
  loop_disarm(w->loop, &w->quiet);
  loop_disarm(w->loop, &w->poll);
  sources_deinit(&w->sources);
}
