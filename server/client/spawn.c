// SPDX-License-Identifier: MIT
// posix_spawnp, whose errors come back at once and leave no zombie. The kernel says the same of a missing
// program, of one whose interpreter is missing and of a missing directory; which it was is looked for
// afterwards.
#include "client/spawn.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/util.h"

static void add_descriptor(posix_spawn_file_actions_t *a, int from, int to) {
  if (from < 0) posix_spawn_file_actions_addopen(a, to, "/dev/null", O_RDWR, 0);
  else posix_spawn_file_actions_adddup2(a, from, to);
}

static void init_actions(posix_spawn_file_actions_t *a, const struct spawn *s) {
  posix_spawn_file_actions_init(a);
  add_descriptor(a, s->in, STDIN_FILENO);
  add_descriptor(a, s->out, STDOUT_FILENO);
  add_descriptor(a, s->err, STDERR_FILENO);
  if (s->cwd) posix_spawn_file_actions_addchdir_np(a, s->cwd);
  posix_spawn_file_actions_addclosefrom_np(a, STDERR_FILENO + 1);
}

static void init_attributes(posix_spawnattr_t *a) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_init(a);
  posix_spawnattr_setflags(a, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(a, 0);
  posix_spawnattr_setsigmask(a, &none);
  posix_spawnattr_setsigdefault(a, &all);
}

// 0, or an errno.
static int start(const struct spawn *s, pid_t *pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  init_actions(&actions, s);
  init_attributes(&attributes);
  int error = posix_spawnp(pid, s->argv[0], &actions, &attributes, s->argv, s->envp);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return error;
}

// Why the directory cannot be entered: 0 where it can.
static int directory_error(const char *path) {
  int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), error = 0;
  if (fd < 0) return errno;
  if (faccessat(fd, ".", X_OK, AT_EACCESS) < 0) error = errno;
  close(fd);
  return error;
}

// Whether a program that was named by its path is there all the same.
static bool is_there(const struct spawn *s) {
  int at = s->cwd ? open(s->cwd, O_PATH | O_DIRECTORY | O_CLOEXEC) : AT_FDCWD;
  struct stat st;
  bool found = fstatat(at, s->argv[0], &st, 0) == 0;
  if (at >= 0) close(at);
  return found;
}

static const char *explain_missing(const struct spawn *s, char *why) {
  const char *name = s->argv[0];
  if (!strchr(name, '/'))
    snprintf(why, SPAWN_WHY_MAX, "'%.200s': no such program in PATH (%.200s)", name,
             getenv("PATH") ? getenv("PATH") : "which is not set");
  else if (is_there(s))
    snprintf(why, SPAWN_WHY_MAX, "'%.400s': the interpreter that its first line names is missing", name);
  else
    snprintf(why, SPAWN_WHY_MAX, "'%.200s': no such program%s%.200s", name, s->cwd ? " from " : "",
             s->cwd ? s->cwd : "");
  return "missing";
}

static const char *explain_directory(const struct spawn *s, int error, char *why) {
  const char *what = error == ENOENT    ? "no such directory"
                     : error == ENOTDIR ? "not a directory"
                                        : strerror(error);
  snprintf(why, SPAWN_WHY_MAX, "cwd '%.400s': %s", s->cwd, what);
  return error == EACCES ? "denied" : "directory";
}

static const char *explain(const struct spawn *s, int error, char *why) {
  const char *name = s->argv[0];
  int of_directory = s->cwd ? directory_error(s->cwd) : 0;
  if (of_directory) return explain_directory(s, of_directory, why);
  switch (error) {
  case ENOENT: return explain_missing(s, why);
  case EACCES:
    snprintf(why, SPAWN_WHY_MAX, "'%.400s': not a file that may be executed; chmod +x makes it one", name);
    return "denied";
  case ENOEXEC:
    snprintf(why, SPAWN_WHY_MAX,
             "'%.300s': not a program of this machine; a script begins with a line such as #!/bin/sh", name);
    return "format";
  case E2BIG: snprintf(why, SPAWN_WHY_MAX, "arguments and environment are too long"); return "too long";
  case EAGAIN:
  case EMFILE:
  case ENFILE:
    snprintf(why, SPAWN_WHY_MAX,
             "'%.300s': no more processes or descriptors for this user (ulimit -u, ulimit -n)", name);
    return "limit";
  default: snprintf(why, SPAWN_WHY_MAX, "'%.300s': %s", name, strerror(error)); return "failed";
  }
}

const char *spawn_program(const struct spawn *s, pid_t *pid, int *pidfd, char why[SPAWN_WHY_MAX]) {
  int error = start(s, pid);
  if (error) return explain(s, error, why);
  *pidfd = pidfd_open(*pid, 0);
  if (*pidfd >= 0) return NULL;
  error = errno;
  kill(-*pid, SIGKILL);
  waitpid(*pid, NULL, 0);
  return explain(s, error, why);
}

void close_pidfd(int pidfd) { close(pidfd); }
