// SPDX-License-Identifier: MIT
// A change in a folder only says that it is time to look; whether something has changed is said by the
// content. Changes are looked at once none has followed for a moment, or when they have gone on for long; and
// every two seconds in any case, for what inotify does not see (network file systems).
#include "process/watch.h"
#include <unistd.h>
#include "base/folders.h"
#include "base/log.h"

static const double QUIET_SECONDS = 0.05, LONG_SECONDS = 2, POLL_SECONDS = 2;

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
  if (folders_read(readable_fd(r), NULL, NULL)) note_change(w);
}

static void stop(struct watch *w) {
  if (!w->readable.loop) return;
  int fd = readable_fd(&w->readable);
  readable_stop(&w->readable);
  close(fd);
}

static void add_source(const char *path, bool is_folder, void *watch) {
  int fd = readable_fd(&((struct watch *)watch)->readable);
  folders_add_way(fd, path);
  if (is_folder) folders_add_below(fd, path);
}

void watch_update(struct watch *w) {
  stop(w);
  w->watched = sources_count(&w->sources);
  int fd = folders_open();
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
