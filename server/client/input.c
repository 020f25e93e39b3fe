// SPDX-License-Identifier: MIT
// Written at once as far as the pipe takes it; a pipe that is not empty may refuse even a few bytes. SIGPIPE
// is ignored in the process: a reader that has gone is an error of write(2).
#include "client/input.h"
#include <errno.h>
#include <unistd.h>

void input_close(struct input *i) {
  if (i->fd < 0) return;
  watch_stop(&i->watch);
  close(i->fd);
  i->fd = -1;
  buf_deinit(&i->waiting);
}

// Bytes that the pipe took; 0: none now; -1: its reader has gone, and it is closed.
static ssize_t put(struct input *i, const char *bytes, size_t len) {
  ssize_t n = write(i->fd, bytes, len);
  if (n >= 0) return n;
  if (errno == EAGAIN || errno == EINTR) return 0;
  input_close(i);
  return -1;
}

static void on_ready(struct watch *w, unsigned events) {
  (void)events;
  struct input *i = container_of(w, struct input, watch);
  ssize_t n = put(i, i->waiting.bytes + i->at, i->waiting.len - i->at);
  if (n < 0) {
    i->on_news(i);
    return;
  }
  i->at += (size_t)n;
  if (i->at < i->waiting.len) return;
  i->at = 0;
  buf_reset(&i->waiting, 0);
  watch_set(w, 0);
  if (i->is_finished) input_close(i);
  i->on_news(i);
}

void input_open(struct input *i, struct loop *loop, int fd, void (*on_news)(struct input *i)) {
  *i = (struct input){.fd = fd, .on_news = on_news, .watch = {.on_ready = on_ready}};
  watch_start(&i->watch, loop, fd, 0);
}

void input_init_closed(struct input *i) { *i = (struct input){.fd = -1}; }

ssize_t input_write(struct input *i, struct span bytes) {
  if (i->fd < 0 || i->is_finished) return -1;
  if (i->waiting.len) return 0;
  ssize_t n = bytes.len ? put(i, bytes.bytes, bytes.len) : 0;
  if (n < 0 || (size_t)n == bytes.len) return n;
  size_t more = MIN(bytes.len - (size_t)n, (size_t)INPUT_WINDOW);
  buf_append(&i->waiting, bytes.bytes + n, more);
  watch_set(&i->watch, WATCH_WRITE);
  return n + (ssize_t)more;
}

void input_finish(struct input *i) {
  i->is_finished = true;
  if (!i->waiting.len) input_close(i);
}
