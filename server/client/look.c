// SPDX-License-Identifier: MIT
// A name says nothing of what a descriptor has open: device and inode are compared. A file that was truncated
// and has grown beyond the offset again cannot be told from one that has only grown.
#include "client/look.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "client/file_io.h"

enum { BLOCK_LEN = 64 << 10 };
static const uint64_t LOOK_BACK_MAX = (uint64_t)64 << 20; // bytes that lines are counted in

// Where the last `n` complete lines of so many bytes begin.
static uint64_t find_lines(int fd, uint64_t size, uint64_t n) {
  char *block = xmalloc(BLOCK_LEN);
  uint64_t at = size, seen = 0, found = 0, least = size > LOOK_BACK_MAX ? size - LOOK_BACK_MAX : 0;
  bool is_found = false;
  while (at > least && !is_found) {
    size_t len = (size_t)MIN(at - least, (uint64_t)BLOCK_LEN);
    if (pread(fd, block, len, (off_t)(at - len)) != (ssize_t)len) break;
    at -= len;
    for (size_t i = len; i > 0 && !is_found; i--)
      if (block[i - 1] == '\n' && seen++ == n) is_found = true, found = at + i;
  }
  free(block);
  return is_found ? found : at;
}

static void open_file(struct look *l) {
  struct stat st;
  l->fd = file_open_regular(l->path, &st);
  if (l->fd < 0) {
    l->error = errno;
    return;
  }
  uint64_t size = (uint64_t)st.st_size;
  l->was_opened = true;
  if (l->start.from == TAIL_FROM_LINES) l->offset = find_lines(l->fd, size, l->start.n);
  else l->offset = l->start.n > size ? 0 : l->start.n;
}

static void read_on(struct look *l) {
  struct stat st;
  if (fstat(l->fd, &st) == 0 && (uint64_t)st.st_size < l->offset) l->is_truncated = true, l->offset = 0;
  ssize_t n = pread(l->fd, buf_reserve(&l->bytes, l->max), l->max, (off_t)l->offset);
  if (n < 0) l->error = errno;
  else l->bytes.len = (size_t)n;
}

// The new file is opened at once: it may be renamed as well before the old one is left.
static void check_name(struct look *l) {
  struct stat old, now;
  if (fstat(l->fd, &old) < 0) return;
  l->is_gone = stat(l->path, &now) < 0 || old.st_dev != now.st_dev || old.st_ino != now.st_ino;
  if (l->is_gone && l->next_fd < 0) l->next_fd = file_open_regular(l->path, &now);
}

void look_run(struct work *w) {
  struct look *l = container_of(w, struct look, work);
  if (l->fd < 0) open_file(l);
  if (!l->error) read_on(l);
  if (!l->error && !l->bytes.len) check_name(l);
}

void look_free(struct look *l) {
  if (l->fd >= 0) close(l->fd);
  if (l->next_fd >= 0) close(l->next_fd);
  buf_deinit(&l->bytes);
  free(l->path);
  free(l);
}
