// SPDX-License-Identifier: MIT
// The new process has the sockets under the numbers that they have here, and finds these in its environment,
// a variable for each set: the pipe's, then workers, addresses and the sockets, worker by worker; the
// addresses follow, a line each.
#include "process/upgrade.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/mem.h"
#include "base/util.h"
#include "loop/loop.h"

extern char **environ;

static const char *const VARIABLES[UPGRADE_SETS] = {"SPATE_UPGRADE", "SPATE_UPGRADE_ADMIN"};
static const char DELETED[] = " (deleted)";
static const char PASSED[] = "passed "; // in front of an address whose socket is systemd's
enum { PROGRAM_MAX = 4096 };
enum { SERVES = 0, WANTS_STORE = 's' }; // what the new process says by the pipe

// Where the program lies, whether or not another file is there by now.
static bool find_program(char path[PROGRAM_MAX]) {
  ssize_t len = readlink("/proc/self/exe", path, PROGRAM_MAX - 1);
  if (len < 0) return false;
  path[len] = '\0';
  size_t behind = (size_t)len - MIN((size_t)len, sizeof DELETED - 1);
  if (!strcmp(path + behind, DELETED)) path[behind] = '\0';
  return true;
}

// The process's arguments, NUL-terminated each.
static bool read_arguments(struct buf *b) {
  size_t n;
  FILE *f = fopen("/proc/self/cmdline", "re");
  if (!f) return false;
  while ((n = fread(buf_reserve(b, 4096), 1, 4096, f)) > 0) b->len += n;
  fclose(f);
  return b->len > 0;
}

// Pointers to the texts in `b`, with NULL behind the last; the caller frees them.
static char **pointers_to(const struct buf *b) {
  size_t count = 0, at = 0;
  for (size_t i = 0; i < b->len; i++) count += !b->bytes[i];
  char **list = xcalloc(count + 1, sizeof *list);
  for (size_t i = 0; i < count; at += strlen(b->bytes + at) + 1) list[i++] = b->bytes + at;
  return list;
}

static void write_handover(struct buf *b, const char *variable, const struct listening *l, int ready) {
  buf_printf(b, "%s=%d %zu %zu", variable, ready, l->worker_count, l->count);
  for (size_t i = 0; i < l->worker_count * l->count; i++) buf_printf(b, " %d", l->fds[i]);
  for (size_t i = 0; i < l->count; i++)
    buf_printf(b, "\n%s%s", l->are_passed[i] ? PASSED : "", l->addresses->list[i].address);
  buf_append_byte(b, '\0');
}

// This process's, with the handovers in front, and `more`; the caller frees the list.
static char **environment_with(const struct buf handovers[UPGRADE_SETS], const char *more) {
  size_t count = 0;
  while (environ[count]) count++;
  char **list = xcalloc(count + UPGRADE_SETS + 2, sizeof *list);
  for (size_t i = 0; i < UPGRADE_SETS; i++) list[i] = handovers[i].bytes;
  memcpy(list + UPGRADE_SETS, environ, count * sizeof *list);
  list[UPGRADE_SETS + count] = (char *)(uintptr_t)more;
  return list;
}

// What dup2 gives to the number that a descriptor has already is open in the new program.
static void keep(posix_spawn_file_actions_t *actions, int fd) {
  posix_spawn_file_actions_adddup2(actions, fd, fd);
}

static void keep_sockets(posix_spawn_file_actions_t *actions, const struct listening *l) {
  for (size_t i = 0; i < l->worker_count * l->count; i++) keep(actions, l->fds[i]);
}

// Nothing is blocked or ignored, as where a shell starts it.
static void init_attributes(posix_spawnattr_t *attributes) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_init(attributes);
  posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setsigmask(attributes, &none);
  posix_spawnattr_setsigdefault(attributes, &all);
}

static int spawn(pid_t *pid, const struct listening *const sets[UPGRADE_SETS], int ready, char **argv,
                 char **envp) {
  char path[PROGRAM_MAX];
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  if (!find_program(path)) return ENOENT;
  close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC); // a library's would stay open: libcurl's pairs
  posix_spawn_file_actions_init(&actions);
  keep(&actions, ready);
  for (size_t i = 0; i < UPGRADE_SETS; i++) keep_sockets(&actions, sets[i]);
  init_attributes(&attributes);
  int error = posix_spawn(pid, path, &actions, &attributes, argv, envp);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

static const char *start(struct upgrade *u, const struct listening *const sets[UPGRADE_SETS],
                         const char *more, int ready) {
  struct buf arguments = {0}, handovers[UPGRADE_SETS] = {0};
  const char *why = NULL;
  if (read_arguments(&arguments)) {
    for (size_t i = 0; i < UPGRADE_SETS; i++) write_handover(&handovers[i], VARIABLES[i], sets[i], ready);
    char **argv = pointers_to(&arguments), **envp = environment_with(handovers, more);
    int error = spawn(&u->pid, sets, ready, argv, envp);
    if (error) why = strerror(error), u->pid = 0;
    free(argv);
    free(envp);
  } else why = "/proc is not there";
  buf_deinit(&arguments);
  for (size_t i = 0; i < UPGRADE_SETS; i++) buf_deinit(&handovers[i]);
  return why;
}

static void end_waiting(struct upgrade *u) {
  int fd = watch_fd(&u->watch);
  loop_disarm(u->watch.loop, &u->late);
  watch_stop(&u->watch);
  close(fd);
}

bool upgrade_stop(struct upgrade *u) {
  if (!u->pid) return false;
  end_waiting(u);
  kill(u->pid, SIGKILL);
  waitpid(u->pid, NULL, 0);
  u->pid = 0;
  return true;
}

static void on_late(struct timer *t) {
  struct upgrade *u = container_of(t, struct upgrade, late);
  upgrade_stop(u);
  u->on_done(u, "the new process has not come to serve within timeouts.start and " LITERAL_OF(
                    UPGRADE_MORE_SECONDS) " s more: it was killed");
}

static void on_ready(struct watch *w, unsigned events) {
  struct upgrade *u = container_of(w, struct upgrade, watch);
  char byte;
  (void)events;
  ssize_t n = read(watch_fd(w), &byte, 1);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n == 1 && byte == WANTS_STORE) {
    u->on_store_wanted(u);
    return;
  }
  if (n == 1) {
    end_waiting(u);
    u->heir = u->pid, u->pid = 0;
  } else upgrade_stop(u); // it has ended, or has closed what it is to tell by
  u->on_done(u, n == 1 ? NULL : "the new process has not come to serve; its output says why");
}

const char *upgrade_begin(struct upgrade *u, struct loop *l, const struct listening *const sets[UPGRADE_SETS],
                          const char *more, double start_seconds) {
  int ends[2];
  if (u->pid) return "one is under way";
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return strerror(errno);
  const char *why = start(u, sets, more, ends[1]);
  close(ends[1]);
  if (why) {
    close(ends[0]);
    return why;
  }
  u->watch.on_ready = on_ready, u->late.on_fire = on_late;
  loop_arm(l, &u->late, l->now + start_seconds + UPGRADE_MORE_SECONDS);
  watch_start(&u->watch, l, ends[0], WATCH_READ);
  return NULL;
}

static int ready_fd = -1;

static bool are_addresses_of(const struct listening *l, char *lines) {
  for (size_t i = 0; i < l->count; i++) {
    const char *line = strsep(&lines, "\n");
    l->are_passed[i] = line && !strncmp(line, PASSED, sizeof PASSED - 1);
    if (l->are_passed[i]) line += sizeof PASSED - 1;
    if (!line || strcmp(line, l->addresses->list[i].address) != 0) return false;
  }
  return !lines;
}

static bool take_sockets(struct listening *l, const char *numbers) {
  size_t workers, count;
  int read = 0;
  if (sscanf(numbers, "%d %zu %zu%n", &ready_fd, &workers, &count, &read) != 3) return false;
  fcntl(ready_fd, F_SETFD, FD_CLOEXEC);
  if (workers != l->worker_count || count != l->count) return false;
  for (size_t i = 0; i < workers * count; i++) {
    numbers += read;
    if (sscanf(numbers, " %d%n", &l->fds[i], &read) != 1) return false;
    fcntl(l->fds[i], F_SETFD, FD_CLOEXEC);
  }
  return true;
}

int upgrade_take(struct listening *l, enum upgrade_set set) {
  const char *given = getenv(VARIABLES[set]);
  if (!given) return 0;
  char *numbers = xstrdup(given), *lines = numbers;
  unsetenv(VARIABLES[set]);
  strsep(&lines, "\n");
  bool ok = take_sockets(l, numbers) && (l->takes_any || are_addresses_of(l, lines));
  free(numbers);
  if (ok) return 1;
  fprintf(stderr, "spate: an upgrade keeps addresses and number of workers; restart for others\n");
  return -1;
}

static void say(char what) {
  ssize_t n = ready_fd < 0 ? 0 : write(ready_fd, &what, 1);
  (void)n; // the old process has ended, which is as well
}

void upgrade_want_store(void) { say(WANTS_STORE); }

void upgrade_tell_ready(void) {
  if (ready_fd < 0) return;
  say(SERVES);
  close(ready_fd);
  ready_fd = -1;
}
