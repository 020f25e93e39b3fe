// SPDX-License-Identifier: MIT
// A change in a folder only says that it is time to look; whether something has changed is said by the
// content. Changes are looked at once none has followed for a moment, or when they have gone on for long; and
// every two seconds in any case, for what inotify does not see (network file systems).
#include "process/source_watch.h"
#include <unistd.h>
#include "base/folders.h"
#include "base/log.h"

static const double QUIET_SECONDS = 0.05, LONG_SECONDS = 2, POLL_SECONDS = 2;

static void source_look(struct source_watch *w) {
  w->first_at = -1;
  loop_disarm(w->loop, &w->quiet);
  if (sources_have_changed(&w->sources)) w->on_change(w);
}

static void on_quiet(struct timer *t) { source_look(container_of(t, struct source_watch, quiet)); }

static void note_change(struct source_watch *w) {
  double now = w->loop->now;
  if (w->first_at < 0) w->first_at = now;
  loop_arm(w->loop, &w->quiet, MIN(now + QUIET_SECONDS, w->first_at + LONG_SECONDS));
}

static void on_poll(struct timer *t) {
  struct source_watch *w = container_of(t, struct source_watch, poll);
  loop_arm(w->loop, t, w->loop->now + POLL_SECONDS);
  if (sources_count(&w->sources) != w->watched)
    source_watch_update(w); // scripts read files while they run, too
  else if (w->first_at < 0 && sources_have_changed(&w->sources)) note_change(w); // it may be half written
}

static void on_ready(struct watch *watch, unsigned events) {
  (void)events;
  struct source_watch *w = container_of(watch, struct source_watch, watch);
  if (folders_read(watch_fd(watch), NULL, NULL)) note_change(w);
}

static void stop(struct source_watch *w) {
  if (!w->watch.loop) return;
  int fd = watch_fd(&w->watch);
  watch_stop(&w->watch);
  close(fd);
}

static void add_source(const char *path, bool is_folder, void *source_watch) {
  int fd = watch_fd(&((struct source_watch *)source_watch)->watch);
  folders_add_way(fd, path);
  if (is_folder) folders_add_below(fd, path);
}

void source_watch_update(struct source_watch *w) {
  stop(w);
  w->watched = sources_count(&w->sources);
  int fd = folders_open();
  if (fd < 0) log_message(LOG_WARN, "no inotify: changes are noticed every %g seconds", POLL_SECONDS);
  else {
    watch_start(&w->watch, w->loop, fd, WATCH_READ);
    sources_each(&w->sources, add_source, w);
  }
  note_change(w); // what was saved before this
}

void source_watch_open(struct source_watch *w, struct loop *loop, void (*on_change)(struct source_watch *w)) {
  *w = (struct source_watch){.loop = loop, .on_change = on_change, .first_at = -1};
  sources_init(&w->sources);
  w->watch.on_ready = on_ready;
  w->quiet.on_fire = on_quiet, w->poll.on_fire = on_poll;
  loop_arm(loop, &w->poll, loop->now + POLL_SECONDS);
}

void source_watch_close(struct source_watch *w) {
  stop(w);
  loop_disarm(w->loop, &w->quiet);
  loop_disarm(w->loop, &w->poll);
  sources_deinit(&w->sources);
}
