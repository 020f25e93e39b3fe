// SPDX-License-Identifier: MIT
// The buffer holds one window, or one line that is longer, and nothing while nobody waits for more of it.
#include "client/output.h"
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
  TOLD_MAX = 4096
}; // bytes of a line that is told, and of those that are read for it: so many lines in a turn

static void forget_taken(struct output *o) {
  if (o->at == o->buf.len) buf_reset(&o->buf, 0);
  else buf_consume(&o->buf, o->at);
  o->at = 0;
}

static void keep(struct output *o, struct span bytes) {
  size_t room = o->mode == OUTPUT_KEPT ? o->kept_max - MIN(o->kept_max, output_waiting(o)) : bytes.len;
  o->has_lost |= room < bytes.len;
  forget_taken(o);
  buf_append(&o->buf, bytes.bytes, MIN(room, bytes.len));
}

static void tell_lines(struct output *o) {
  struct span line;
  while (output_take_line(o, TOLD_MAX, &line) == OUTPUT_TAKEN) o->ops->on_line(o, line);
}

static void output_close(struct output *o) {
  if (o->fd < 0) return;
  watch_stop(&o->watch);
  close(o->fd);
  o->fd = -1;
  if (o->mode == OUTPUT_LINES) tell_lines(o);
}

// One read; false where it found nothing.
static bool output_read(struct output *o) {
  char *scratch = o->watch.loop->scratch;
  size_t max = o->mode == OUTPUT_LINES ? TOLD_MAX : OUTPUT_WINDOW;
  ssize_t n = read(o->fd, scratch, MIN(o->left, max));
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (n > 0) o->left -= (size_t)n;
  if (n > 0 && o->mode != OUTPUT_DROPPED) keep(o, (struct span){scratch, (size_t)n});
  if (o->mode == OUTPUT_LINES) tell_lines(o);
  if (n <= 0 || !o->left) output_close(o);
  return true;
}

static void on_ready(struct watch *w, unsigned events) {
  (void)events;
  struct output *o = container_of(w, struct output, watch);
  if (!output_read(o)) return;
  if (o->mode == OUTPUT_ASKED && o->fd >= 0) watch_set(w, 0);
  o->ops->on_news(o);
}

void output_open(struct output *o, struct loop *loop, int fd, enum output_mode mode,
                 const struct output_ops *ops) {
  *o = (struct output){.ops = ops, .fd = fd, .mode = mode, .left = SIZE_MAX, .watch = {.on_ready = on_ready}};
  watch_start(&o->watch, loop, fd, mode == OUTPUT_ASKED ? 0 : WATCH_READ);
}

void output_init_over(struct output *o) { *o = (struct output){.fd = -1}; }

void output_deinit(struct output *o) {
  output_close(o);
  buf_deinit(&o->buf);
}

void output_set_mode(struct output *o, enum output_mode mode, size_t max) {
  o->mode = mode, o->kept_max = max;
  if (mode == OUTPUT_DROPPED) buf_deinit(&o->buf), o->at = o->searched = 0;
  if (o->fd >= 0) watch_set(&o->watch, mode == OUTPUT_ASKED ? 0 : WATCH_READ);
}

void output_want(struct output *o) {
  if (o->fd >= 0) watch_set(&o->watch, WATCH_READ);
}

static struct span waiting(const struct output *o) {
  return (struct span){o->buf.bytes + o->at, output_waiting(o)};
}

// The first `len` bytes that wait are taken, and `end` more.
static enum output_found take(struct output *o, size_t len, size_t end, struct span *piece) {
  *piece = (struct span){o->buf.bytes + o->at, len};
  o->at += len + end, o->searched = 0;
  return OUTPUT_TAKEN;
}

enum output_found output_take_line(struct output *o, size_t max, struct span *line) {
  struct span rest = waiting(o);
  size_t seen = MIN(o->searched, rest.len), searched = MIN(rest.len, max + 1);
  const char *feed = searched > seen ? memchr(rest.bytes + seen, '\n', searched - seen) : NULL;
  if (feed) return take(o, (size_t)(feed - rest.bytes), 1, line);
  if (rest.len > max) return take(o, max, 0, line);
  o->searched = rest.len;
  if (o->fd >= 0) return OUTPUT_NOTHING_YET;
  return rest.len && !o->has_lost ? take(o, rest.len, 0, line) : OUTPUT_OVER; // half a line is none
}

enum output_found output_take_all(struct output *o, struct span *bytes) {
  size_t n = output_waiting(o);
  if (n) return take(o, n, 0, bytes);
  return o->fd >= 0 ? OUTPUT_NOTHING_YET : OUTPUT_OVER;
}

void output_finish(struct output *o) {
  int left = 0;
  if (o->fd < 0) return;
  if (ioctl(o->fd, FIONREAD, &left) == 0 && left > 0) o->left = (size_t)left;
  else output_close(o);
  while (o->fd >= 0 && o->mode != OUTPUT_ASKED && output_read(o)) continue;
  o->ops->on_news(o);
}
