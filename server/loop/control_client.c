// SPDX-License-Identifier: MIT
// A folder that others could write to is not trusted, for whoever owns a socket there is asked to reload and
// to stop. Sockets of processes that are gone are removed by whoever lists them.
#include "loop/control_client.h"
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { FOLDER_MAX = CONTROL_PATH_MAX - 16, PIECE_LEN = 4096 };

static bool is_own_folder(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022);
}

static bool folder(bool make, char *out, size_t cap) {
  const char *runtime = getenv("XDG_RUNTIME_DIR");
  int len = runtime && *runtime == '/' ? snprintf(out, cap, "%s/spate", runtime)
            : geteuid() == 0           ? snprintf(out, cap, "/run/spate")
                                       : snprintf(out, cap, "/tmp/spate-%u", (unsigned)geteuid());
  if (len >= (int)cap) return false;
  if (make) mkdir(out, 0700);
  return is_own_folder(out);
}

bool control_path(pid_t pid, bool make, char out[CONTROL_PATH_MAX]) {
  char where[FOLDER_MAX];
  if (!folder(make, where, sizeof where)) return false;
  snprintf(out, CONTROL_PATH_MAX, "%s/%d", where, (int)pid);
  return true;
}

size_t control_list(pid_t pids[CONTROL_PIDS_MAX]) {
  char where[FOLDER_MAX], path[CONTROL_PATH_MAX];
  size_t n = 0;
  DIR *d = folder(false, where, sizeof where) ? opendir(where) : NULL;
  for (struct dirent *e; d && n < CONTROL_PIDS_MAX && (e = readdir(d));) {
    pid_t pid = (pid_t)atoi(e->d_name);
    if (pid <= 0) continue;
    bool gone = kill(pid, 0) && errno == ESRCH;
    if (!gone) pids[n++] = pid;
    else if (control_path(pid, false, path)) unlink(path);
  }
  if (d) closedir(d);
  return n;
}

static int open_socket(const char *path, double timeout) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  double seconds, rest = modf(timeout, &seconds);
  struct timeval t = {.tv_sec = (time_t)seconds, .tv_usec = (suseconds_t)(rest * 1e6)};
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
  if (connect(fd, (void *)&address, sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

bool control_ask(pid_t pid, const char *question, double timeout, struct buf *answer) {
  char path[CONTROL_PATH_MAX];
  int fd = control_path(pid, false, path) ? open_socket(path, timeout) : -1;
  if (fd < 0) return false;
  size_t before = answer->len;
  ssize_t n = send(fd, question, strlen(question), MSG_NOSIGNAL);
  if (n == (ssize_t)strlen(question))
    while ((n = recv(fd, buf_reserve(answer, PIECE_LEN), PIECE_LEN, 0)) > 0) answer->len += (size_t)n;
  close(fd);
  return n == 0 && answer->len > before;
}
