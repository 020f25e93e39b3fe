// SPDX-License-Identifier: MIT
// A file is replaced as a whole: what is written goes into another one of the same folder, which takes its
// name once it is on the disk. Whoever reads has the old or the new one, also after a crash. A link stays,
// and what it leads to is replaced.
#include "client/file_io.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"

enum { BLOCK_LEN = 64 << 10, NAME_TRIES = 100 };

int file_open_regular(const char *path, struct stat *st) {
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return -1;
  bool is_there = fstat(fd, st) == 0;
  if (is_there && S_ISREG(st->st_mode)) return fd;
  int error = !is_there ? errno : S_ISDIR(st->st_mode) ? EISDIR : ENODEV;
  close(fd);
  errno = error;
  return -1;
}

int file_read(int fd, size_t size, size_t max, struct buf *out) {
  if (size > max) return EFBIG;
  buf_reserve(out, size + BLOCK_LEN);
  for (ssize_t n = 1; n > 0;) {
    n = read(fd, buf_reserve(out, BLOCK_LEN), BLOCK_LEN);
    if (n < 0) return errno;
    out->len += (size_t)n;
    if (out->len > max) return EFBIG;
  }
  return 0;
}

static char *folder_of(const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return xstrdup(".");
  return xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
}

// A new file beside `path`: its descriptor and, the caller's, its name; -1 with errno.
static int open_beside(const char *path, mode_t mode, char **name) {
  for (int i = 0; i < NAME_TRIES; i++) {
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) < 0) return -1;
    char *folder = folder_of(path);
    *name = xasprintf("%s/.%016llx.tmp", folder, (unsigned long long)random);
    free(folder);
    int fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd >= 0) return fd;
    free(*name);
    if (errno != EEXIST) return -1;
  }
  return -1;
}

static int write_all(int fd, struct span s) {
  for (ssize_t n; s.len; s.bytes += n, s.len -= (size_t)n)
    if ((n = write(fd, s.bytes, s.len)) < 0) return errno;
  return fsync(fd) < 0 ? errno : 0;
}

// The mode and, where this may be done, the owner of the file that is replaced.
static int keep_mode(int fd, const char *path) {
  struct stat st;
  if (stat(path, &st) < 0) return errno == ENOENT ? 0 : errno;
  if (S_ISDIR(st.st_mode)) return EISDIR;
  if (!S_ISREG(st.st_mode)) return ENODEV;
  if (fchown(fd, st.st_uid, st.st_gid) < 0 && errno != EPERM) return errno;
  return fchmod(fd, st.st_mode & 07777) < 0 ? errno : 0;
}

// The rename is on the disk once the folder is.
static void sync_folder(const char *path) {
  char *folder = folder_of(path);
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) fsync(fd), close(fd);
  free(folder);
}

int file_write(const char *path, struct span bytes) {
  char *target = realpath(path, NULL), *name;
  if (target) path = target;
  struct stat st;
  mode_t mode = stat(path, &st) == 0 ? 0600 : 0666; // what is private is never open to others
  int fd = open_beside(path, mode, &name), error = fd < 0 ? errno : 0;
  if (!error) {
    error = keep_mode(fd, path);
    if (!error) error = write_all(fd, bytes);
    if (close(fd) < 0 && !error) error = errno;
    if (!error && rename(name, path) < 0) error = errno;
    if (error) unlink(name);
    else sync_folder(path);
    free(name);
  }
  free(target);
  return error;
}

static char letter_of(int folder, const struct dirent *e) {
  struct stat st;
  unsigned char type = e->d_type;
  if (type == DT_UNKNOWN && fstatat(folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
    type = IFTODT(st.st_mode);
  return type == DT_REG ? 'f' : type == DT_DIR ? 'd' : type == DT_LNK ? 'l' : 'o';
}

int file_list(const char *path, size_t max, struct buf *out) {
  size_t count = 0;
  int error = 0;
  DIR *d = opendir(path);
  if (!d) return errno;
  for (struct dirent *e; errno = 0, !error && (e = readdir(d));) {
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    if (count++ == max) error = EFBIG;
    buf_append_byte(out, letter_of(dirfd(d), e));
    buf_append(out, e->d_name, strlen(e->d_name) + 1);
  }
  if (!error) error = errno;
  closedir(d);
  return error;
}
