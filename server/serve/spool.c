// SPDX-License-Identifier: MIT
// The file is unlinked from its start (O_TMPFILE, or at once where the file system has none), so whatever
// ends the process leaves nothing behind.
#include "serve/spool.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int open_unnamed(void) {
  char path[4096];
  const char *dir = getenv("TMPDIR");
  if (!dir || !*dir) dir = "/tmp";
  int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return fd;
  if (snprintf(path, sizeof path, "%s/spate-XXXXXX", dir) >= (int)sizeof path)
    return errno = ENAMETOOLONG, -1;
  fd = mkostemp(path, O_CLOEXEC);
  if (fd >= 0) unlink(path);
  return fd;
}

static int write_all(int fd, struct span bytes) {
  while (bytes.len) {
    ssize_t n = write(fd, bytes.bytes, bytes.len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    bytes.bytes += n, bytes.len -= (size_t)n;
  }
  return 0;
}

static int move_to_file(struct spool *s) {
  s->fd = open_unnamed();
  if (s->fd < 0 || write_all(s->fd, buf_span(&s->memory)) < 0) return -1;
  buf_deinit(&s->memory);
  return 0;
}

int spool_append(struct spool *s, struct span bytes, size_t memory_max) {
  if (s->fd < 0 && s->size + bytes.len <= memory_max) {
    buf_append_span(&s->memory, bytes);
  } else {
    if (s->fd < 0 && move_to_file(s) < 0) return -1;
    if (write_all(s->fd, bytes) < 0) return -1;
  }
  s->size += bytes.len;
  return 0;
}

ssize_t spool_read(const struct spool *s, uint64_t at, char *out, size_t len) {
  at = MIN(at, s->size);
  if (s->fd >= 0) {
    ssize_t n;
    do n = pread(s->fd, out, len, (off_t)at);
    while (n < 0 && errno == EINTR);
    return n;
  }
  len = MIN(len, (size_t)(s->size - at));
  if (len) memcpy(out, s->memory.bytes + at, len);
  return (ssize_t)len;
}

void spool_deinit(struct spool *s) {
  if (s->fd >= 0) close(s->fd);
  buf_deinit(&s->memory);
  *s = SPOOL_EMPTY;
}
