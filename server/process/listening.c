// SPDX-License-Identifier: MIT
// Every socket is bound before any thread runs, so an address in use ends the program and not a worker.
#include "process/listening.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "loop/sock.h"
#include "process/port_owner.h"

static bool is_tcp(const char *address) {
  return strncmp(address, "unix:", 5) != 0 && strncmp(address, "fd:", 3) != 0 &&
         strncmp(address, "systemd:", 8) != 0;
}

static void hint_in_use(const char *address, const char *flag) {
  struct port_owner owner;
  const char *colon = strrchr(address, ':');
  if (colon && port_owner_find((unsigned)strtoul(colon + 1, NULL, 10), &owner))
    fprintf(stderr, "hint: process %d (%s) has %s; stop it or choose another with %s\n", (int)owner.pid,
            owner.name, address, flag);
  else fprintf(stderr, "hint: another process has %s; stop it or choose another with %s\n", address, flag);
}

static int fail_listen(const struct listening *l, const char *error, const char *address) {
  int cause = errno;
  fprintf(stderr, "spate: %s\n", error);
  if (cause == EADDRINUSE && is_tcp(address)) hint_in_use(address, l->flag);
  if (cause == EADDRINUSE && !is_tcp(address))
    fprintf(stderr, "hint: a server or a file is there; remove it or choose another path with %s\n", l->flag);
  if (cause == EACCES && is_tcp(address))
    fprintf(stderr, "hint: ports below 1024 need root or CAP_NET_BIND_SERVICE\n");
  if (cause != EINVAL) return EXIT_LISTEN;
  return l->is_configured ? EXIT_CONFIG : EXIT_USAGE;
}

// An address at which systemd listens already.
static int listen_passed(struct listening *l, struct activation *a, size_t which) {
  char error[SOCK_ERROR_MAX];
  const char *address = l->addresses->list[which].address;
  for (size_t i = 0; i < l->worker_count; i++) {
    int fd = activation_take(a, address, i, error);
    if (fd < 0) return fail_listen(l, error, address);
    l->fds[i * l->count + which] = fd;
  }
  sock_name(l->fds[which], l->names[which]);
  l->are_passed[which] = true, l->bound++;
  return -1;
}

static int fail_passed(const struct activation *a, const char *address) {
  fprintf(stderr, "spate: %s: systemd has passed no socket of this name\n", address);
  activation_hint(a);
  return EXIT_LISTEN;
}

// One address for all workers: a TCP port is shared by sockets of their own, anything else is one socket. The
// first socket at a port is opened alone, so that a port in use is noticed.
static int listen_at(struct listening *l, size_t which) {
  char error[SOCK_ERROR_MAX], *bound = l->names[which];
  const char *address = l->addresses->list[which].address;
  int first = sock_listen(address, false, error);
  if (first < 0) return fail_listen(l, error, address);
  sock_name(first, bound);
  if (is_tcp(address) && l->worker_count > 1) {
    close(first);
    first = sock_listen(bound, true, error);
    if (first < 0) return fail_listen(l, error, bound);
  }
  l->fds[which] = first;
  for (size_t i = 1; i < l->worker_count; i++) {
    int fd = is_tcp(address) ? sock_listen(bound, true, error) : fcntl(first, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) return fail_listen(l, error, bound);
    l->fds[i * l->count + which] = fd;
  }
  l->bound++;
  return -1;
}

void listening_remove_files(struct listening *l) {
  for (; l->bound; l->bound--) {
    const char *address = l->addresses->list[l->bound - 1].address;
    if (!strncmp(address, "unix:", 5) && !l->are_passed[l->bound - 1]) unlink(address + 5);
  }
}

static uint16_t port_of(const struct listening *l, size_t which) {
  const char *colon = strrchr(l->names[which], ':');
  return (uint16_t)(colon ? strtoul(colon + 1, NULL, 10) : 443);
}

static uint16_t https_port(const struct listening *l) {
  size_t i = 0;
  while (i < l->count && !l->addresses->list[i].is_secure) i++;
  return i < l->count ? port_of(l, i) : 0;
}

static void listening_set_kinds(struct listening *l) {
  for (size_t i = 0; i < l->count; i++) {
    const struct listen_address *a = &l->addresses->list[i];
    uint16_t port = a->port ? (uint16_t)a->port : https_port(l);
    l->kinds[i] = (struct listener_kind){.is_secure = a->is_secure, .redirect_port = a->redirects ? port : 0};
  }
}

const char *listening_scheme(const struct listening *l, size_t which) {
  if (strchr(l->names[which], '/')) return "";
  return l->addresses->list[which].is_secure ? "https://" : "http://";
}

void listening_init(struct listening *l, const struct listen_addresses *addresses, size_t workers,
                    const char *flag, bool is_configured) {
  *l = (struct listening){.addresses = addresses,
                          .flag = flag,
                          .is_configured = is_configured,
                          .worker_count = workers,
                          .count = addresses->count};
  size_t bytes = l->worker_count * l->count * sizeof *l->fds;
  l->fds = xmalloc(bytes + 1);
  memset(l->fds, 0xff, bytes);
  l->names = xcalloc(l->count + 1, sizeof *l->names);
  l->kinds = xcalloc(l->count + 1, sizeof *l->kinds);
  l->are_passed = xcalloc(l->count + 1, sizeof *l->are_passed);
}

static int open_one(struct listening *l, struct activation *a, size_t which) {
  const char *address = l->addresses->list[which].address;
  if (activation_has(a, address)) return listen_passed(l, a, which);
  return strncmp(address, "systemd:", 8) ? listen_at(l, which) : fail_passed(a, address);
}

int listening_open(struct listening *l, struct activation *passed) {
  int code = -1;
  for (size_t i = 0; i < l->count && code < 0; i++) code = open_one(l, passed, i);
  listening_set_kinds(l);
  return code;
}

void listening_adopt(struct listening *l) {
  for (size_t i = 0; i < l->count; i++) sock_name(l->fds[i], l->names[i]);
  l->bound = l->count;
  listening_set_kinds(l);
}

void listening_leave_files(struct listening *l) { l->bound = 0; }

void listening_close(struct listening *l) {
  listening_remove_files(l);
  for (size_t i = 0; i < l->worker_count * l->count; i++)
    if (l->fds[i] >= 0) close(l->fds[i]);
  free(l->fds);
  free(l->names);
  free(l->kinds);
  free(l->are_passed);
}
