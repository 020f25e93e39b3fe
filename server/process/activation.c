// SPDX-License-Identifier: MIT
// The protocol is three variables: LISTEN_PID says whom the sockets are for, LISTEN_FDS how many there are,
// LISTEN_FDNAMES how they are called, "a:b:c". libsystemd is not needed for it.
#include "process/activation.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/digits.h"
#include "base/mem.h"

enum { FIRST_FD = 3, SOCKETS_MAX = 256 };
static const char PREFIX[] = "systemd:";

static bool read_number(const char *variable, uint64_t max, uint64_t *out) {
  const char *text = getenv(variable);
  return text && decimal_read(span_of(text), max, out);
}

static void read_sockets(struct activation *a) {
  const char *names = getenv("LISTEN_FDNAMES");
  a->names = xstrdup(names ? names : "");
  a->sockets = xcalloc(a->count, sizeof *a->sockets);
  char *rest = a->names;
  for (size_t i = 0; i < a->count; i++) {
    const char *name = rest ? strsep(&rest, ":") : "";
    int fd = FIRST_FD + (int)i;
    a->sockets[i].name = *name ? name : "unknown";
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    sock_name(fd, a->sockets[i].address);
  }
}

void activation_init(struct activation *a) {
  uint64_t pid, count;
  *a = (struct activation){0};
  bool is_ours = read_number("LISTEN_PID", INT32_MAX, &pid) && (pid_t)pid == getpid() &&
                 read_number("LISTEN_FDS", SOCKETS_MAX, &count);
  if (is_ours) a->count = (size_t)count;
  if (a->count) read_sockets(a);
  unsetenv("LISTEN_PID");
  unsetenv("LISTEN_FDS");
  unsetenv("LISTEN_FDNAMES");
}

static bool is_meant(const struct passed_socket *s, const char *address) {
  size_t len = sizeof PREFIX - 1;
  return strncmp(address, PREFIX, len) ? !strcmp(address, s->address) : !strcmp(address + len, s->name);
}

// The n-th of those at this address, or -1.
static int nth(const struct activation *a, const char *address, size_t n) {
  for (size_t i = 0; i < a->count; i++)
    if (is_meant(&a->sockets[i], address) && !n--) return (int)i;
  return -1;
}

bool activation_has(const struct activation *a, const char *address) { return nth(a, address, 0) >= 0; }

int activation_take(struct activation *a, const char *address, size_t worker, char error[SOCK_ERROR_MAX]) {
  char fd[24];
  size_t count = 0;
  while (nth(a, address, count) >= 0) count++;
  int which = nth(a, address, worker % count);
  a->sockets[which].is_taken = true;
  snprintf(fd, sizeof fd, "fd:%d", FIRST_FD + which);
  return sock_listen(fd, false, error);
}

void activation_hint(const struct activation *a) {
  if (!a->count)
    fprintf(stderr, "hint: systemd has passed no sockets: is there a .socket unit that starts this?\n");
  else fprintf(stderr, "hint: systemd has passed");
  for (size_t i = 0; i < a->count; i++)
    fprintf(stderr, "%s systemd:%s (%s)%s", i ? "," : "", a->sockets[i].name, a->sockets[i].address,
            i + 1 < a->count ? "" : "\n");
}

void activation_deinit(struct activation *a) {
  for (size_t i = 0; i < a->count; i++) {
    struct passed_socket *s = &a->sockets[i];
    if (!s->is_taken)
      fprintf(stderr, "spate: systemd has passed systemd:%s (%s), which no -l takes: closing it\n", s->name,
              s->address);
    close(FIRST_FD + (int)i);
  }
  free(a->sockets);
  free(a->names);
  *a = (struct activation){0};
}
