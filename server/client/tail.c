// SPDX-License-Identifier: MIT
// Word of a change only makes the next look worth while; what has changed is seen by looking. A look begins
// when somebody wants a line and none is there, so a reader that is slow costs one window, and one that does
// not ask nothing. While a look is under way it owns the descriptor: who leaves leaves it that.
#include "client/tail.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "client/look.h"
#include "serve/metrics.h"

enum { KEEP_LEN = 4096 }; // of an empty buffer

// A writer goes on with a file that was renamed until it opens the new one.
static const double GONE_SECONDS = 1, RETRY_SECONDS = 0.1;

static void on_change(struct file_watch *w, unsigned what, const char *name) {
  struct tail *t = container_of(w, struct tail, watch);
  t->is_dirty = true;
  (void)name;
  if (what != FILE_CHANGED) t->is_lost = true;
  t->on_news(t);
}

static void arm(struct tail *t, double after) {
  loop_arm(t->service->loop, &t->timer, t->service->loop->now + after);
}

static void on_timer(struct timer *timer) {
  struct tail *t = container_of(timer, struct tail, timer);
  t->is_quiet = t->is_gone, t->is_dirty = true;
  t->on_news(t);
}

static int mark(struct tail *t) {
  file_watch_clear(&t->watch);
  int error = file_watch_add_way(&t->watch, t->path);
  if (!error && t->fd >= 0) error = file_watch_add_open(&t->watch, t->fd);
  t->is_lost = false;
  return error;
}

// What it has found out, and where that leaves it.
static void take_in(struct tail *t, const struct look *l) {
  bool is_missing = l->error == ENOENT || l->error == ENOTDIR;
  bool may_appear = l->fd < 0 && (t->is_open || (t->start.may_appear && is_missing));
  t->fd = l->fd;
  if (l->error) {
    t->has_end = true;
    if (!may_appear) t->error = l->error;
    return;
  }
  if (l->is_truncated) buf_reset(&t->bytes, 0), t->taken = 0;
  buf_append_span(&t->bytes, buf_span(&l->bytes));
  t->offset = l->offset + l->bytes.len;
  t->has_end = !l->bytes.len;
  counter_add(&t->service->counters.file_bytes_total, (int64_t)l->bytes.len);
  if (l->was_opened) t->is_open = true, t->is_lost = true, t->is_dirty = true;
}

static void close_next(struct tail *t) {
  if (t->next_fd >= 0) close(t->next_fd);
  t->next_fd = -1;
}

static void leave_for_next(struct tail *t) {
  close(t->fd);
  t->fd = t->next_fd, t->next_fd = -1;
  t->is_gone = t->is_quiet = false;
  t->is_lost = t->is_dirty = t->ends_line = true;
}

// Of a file that is read to its end: it is left once another has its name, and it has been quiet for a while.
static void check_name(struct tail *t, const struct look *l) {
  if (t->error || t->fd < 0 || !t->has_end) return;
  t->is_gone = l->is_gone;
  if (!t->is_gone) {
    close_next(t);
    t->is_quiet = false;
  } else if (t->is_quiet && t->next_fd >= 0) leave_for_next(t);
  else if (!t->is_quiet && !timer_is_armed(&t->timer)) arm(t, GONE_SECONDS);
}

static void on_looked(struct job *j) {
  struct look *l = container_of(j, struct look, work.job);
  struct tail *t = l->tail;
  t->look = NULL;
  if (l->bytes.len) t->is_quiet = false, loop_disarm(t->service->loop, &t->timer);
  take_in(t, l);
  t->next_fd = l->next_fd;
  l->fd = l->next_fd = -1; // they are the tail's again
  check_name(t, l);
  t->on_news(t);
}

static void free_look(struct job *j) { look_free(container_of(j, struct look, work.job)); }

static void begin_look(struct tail *t) {
  struct look *l = xmalloc(sizeof *l);
  if (t->taken == t->bytes.len) buf_reset(&t->bytes, KEEP_LEN);
  else buf_consume(&t->bytes, t->taken);
  if (t->ends_line) t->offset = 0; // another file begins
  t->taken = 0, t->ends_line = false;
  *l = (struct look){.tail = t,
                     .path = xstrdup(t->path),
                     .fd = t->fd,
                     .next_fd = t->next_fd,
                     .start = t->start,
                     .offset = t->offset,
                     .max = t->service->settings->limits.file_window - t->bytes.len};
  job_begin(&l->work.job, t->service->inbox, on_looked, free_look);
  l->work.run = look_run;
  if (pool_submit(&t->service->pools[WORK_FILES], &l->work)) {
    t->look = l, t->fd = t->next_fd = -1, t->is_dirty = false;
    return;
  }
  l->fd = l->next_fd = -1;
  look_free(l);
  arm(t, RETRY_SECONDS);
}

// Marks first: what changes before them is seen by the look, what changes after them is told. Where a file
// that is followed cannot be marked any more, as others of this user have all the watches, it is looked at
// now and then.
static void look_again(struct tail *t) {
  int error = t->is_lost ? mark(t) : 0;
  if (error && !t->is_open) t->error = error;
  else begin_look(t);
  if (!error || t->error) return;
  t->is_lost = true;
  if (!timer_is_armed(&t->timer)) arm(t, GONE_SECONDS);
}

struct tail *tail_open(struct service *s, const char *path, struct tail_start start, void *owner,
                       void (*on_news)(struct tail *t)) {
  if (s->counters.files_followed >= s->settings->limits.files) return NULL;
  struct tail *t = xmalloc(sizeof *t);
  *t = (struct tail){.service = s,
                     .watch = {.on_change = on_change},
                     .path = xstrdup(path),
                     .start = start,
                     .fd = -1,
                     .next_fd = -1,
                     .timer = {.on_fire = on_timer},
                     .is_lost = true,
                     .owner = owner,
                     .on_news = on_news};
  file_watch_init(&t->watch, s->file_watcher);
  counter_add(&s->counters.files_followed, 1);
  look_again(t);
  return t;
}

int tail_status(const struct tail *t) {
  if (t->error) return t->error;
  return t->is_open || (t->start.may_appear && t->has_end) ? 0 : EINPROGRESS;
}

static bool take_line(struct tail *t, struct tail_line *line) {
  const char *from = t->bytes.bytes + t->taken;
  size_t len = t->bytes.len - t->taken;
  const char *end = len ? memchr(from, '\n', len) : NULL;
  bool is_full = len == t->service->settings->limits.file_window;
  if (!end && !is_full && !(t->ends_line && len)) return false;
  size_t text = end ? (size_t)(end - from) : len;
  t->taken += text + (end != NULL);
  *line = (struct tail_line){
      .text = {from, text}, .offset = t->offset - (t->bytes.len - t->taken), .is_part = is_full && !end};
  return true;
}

enum tail_result tail_take(struct tail *t, struct tail_line *line) {
  if (take_line(t, line)) return TAIL_LINE;
  if (t->error) return TAIL_END;
  if (t->look) return TAIL_WAIT;
  if (t->is_dirty || !t->has_end) look_again(t);
  return t->error ? TAIL_END : TAIL_WAIT;
}

void tail_free(struct tail *t) {
  struct service *s = t->service;
  file_watch_deinit(&t->watch);
  loop_disarm(s->loop, &t->timer);
  if (t->look) pool_abandon(&t->look->work);
  if (t->fd >= 0) close(t->fd);
  close_next(t);
  counter_add(&s->counters.files_followed, -1);
  buf_deinit(&t->bytes);
  free(t->path);
  free(t);
}
