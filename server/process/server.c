// SPDX-License-Identifier: MIT
// Start, signals, end. Every socket is bound here before any thread runs, so an address in use ends the
// program and not a worker. The main thread then only waits for signals: a first one drains, a second one
// ends at once. Before there is anything to drain, signals do what they do to any program.
#include "process/server.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "event/broker.h"
#include "event/shared.h"
#include "loop/sock.h"
#include "process/report.h"
#include "process/worker.h"

static const double QUIT_SECONDS = 1; // after shutdown.grace, for <close> variables

struct server {
  const struct options *options;
  size_t worker_count, listen_count;
  size_t bound; // of the addresses, so far
  int *fds;     // worker_count rows of listen_count
  struct worker **workers;
  struct broker broker;
  struct shared_registry shared;
};

static bool is_tcp(const char *address) {
  return strncmp(address, "unix:", 5) != 0 && strncmp(address, "fd:", 3) != 0;
}

static int fail_listen(const struct server *s, const char *error, const char *address) {
  int cause = errno;
  fprintf(stderr, "spate: %s\n", error);
  if (cause == EADDRINUSE && is_tcp(address))
    fprintf(stderr, "hint: another process has %s; stop it or choose another with -l\n", address);
  if (cause == EADDRINUSE && !is_tcp(address))
    fprintf(stderr, "hint: a server or a file is there; remove it or choose another path with -l\n");
  if (cause == EACCES && is_tcp(address))
    fprintf(stderr, "hint: ports below 1024 need root or CAP_NET_BIND_SERVICE\n");
  if (cause != EINVAL) return EXIT_LISTEN;
  return s->options->listen_is_configured ? EXIT_CONFIG : EXIT_USAGE;
}

// One address for all workers: a TCP port is shared by sockets of their own, anything else is one socket. The
// first socket at a port is opened alone, so that a port in use is noticed.
static int listen_at(struct server *s, size_t which) {
  char error[SOCK_ERROR_MAX], bound[SOCK_NAME_MAX];
  const char *address = s->options->listen[which];
  int first = sock_listen(address, false, error);
  if (first < 0) return fail_listen(s, error, address);
  sock_name(first, bound);
  if (is_tcp(address) && s->worker_count > 1) {
    close(first);
    first = sock_listen(bound, true, error);
    if (first < 0) return fail_listen(s, error, bound);
  }
  s->fds[which] = first;
  for (size_t i = 1; i < s->worker_count; i++) {
    int fd = is_tcp(address) ? sock_listen(bound, true, error) : fcntl(first, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) return fail_listen(s, error, bound);
    s->fds[i * s->listen_count + which] = fd;
  }
  s->bound++;
  return -1;
}

// Before the listeners close: afterwards the next server may have a socket of its own there.
static void remove_sockets(struct server *s) {
  for (; s->bound; s->bound--) {
    const char *address = s->options->listen[s->bound - 1];
    if (!strncmp(address, "unix:", 5)) unlink(address + 5);
  }
}

static void announce(const struct server *s) {
  char bound[SOCK_NAME_MAX];
  for (size_t i = 0; i < s->listen_count; i++) {
    sock_name(s->fds[i], bound);
    printf("serving %s on %s%s (%zu worker%s)\n", s->options->app, is_tcp(bound) ? "http://" : "", bound,
           s->worker_count, s->worker_count == 1 ? "" : "s");
  }
  fflush(stdout);
}

static int start_workers(struct server *s, const sigset_t *set) {
  for (size_t i = 0; i < s->worker_count; i++) {
    struct worker_config config = {.settings = &s->options->settings,
                                   .app = s->options->app,
                                   .broker = &s->broker,
                                   .shared = &s->shared,
                                   .number = (int)i,
                                   .listeners = s->fds + i * s->listen_count,
                                   .listener_count = s->listen_count};
    s->workers[i] = worker_new(&config);
    const char *error = "no thread for a worker";
    pthread_sigmask(SIG_UNBLOCK, set, NULL); // a script that blocks while it is loaded can be interrupted
    bool ok = s->workers[i] && worker_wait_loaded(s->workers[i], &error) == 0;
    pthread_sigmask(SIG_BLOCK, set, NULL);
    if (!ok) {
      report_error(error, s->options->app);
      return EXIT_APP;
    }
  }
  return -1;
}

// A descriptor that the caller closed would be given to a socket, and the log written to it.
static void open_standard_descriptors(void) {
  int fd;
  do fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) close(fd);
}

static void block_signals(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGTERM);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, set, NULL);
  signal(SIGPIPE, SIG_IGN);
}

static bool has_ended(const struct server *s) {
  for (size_t i = 0; i < s->worker_count; i++)
    if (!worker_has_ended(s->workers[i])) return false;
  return true;
}

static void tell_workers(const struct server *s, void (*order)(struct worker *w)) {
  for (size_t i = 0; i < s->worker_count; i++)
    if (s->workers[i]) order(s->workers[i]);
}

// After the first signal: until the workers have ended, a second signal comes or the time is up.
static int wait_for_end(struct server *s, const sigset_t *set) {
  double until = clock_now(clock_system()) + s->options->settings.shutdown.grace;
  bool quits = false;
  while (!has_ended(s)) {
    int second = sigtimedwait(set, NULL, &(struct timespec){.tv_nsec = 20 * 1000 * 1000});
    if (second == SIGINT || second == SIGTERM) return second == SIGINT ? EXIT_INTERRUPT : EXIT_OK;
    if (clock_now(clock_system()) < until) continue;
    log_message(LOG_WARN, quits ? "scripts do not end: leaving them"
                                : "still serving after shutdown.grace: closing what is open");
    if (quits) break;
    quits = true, until += QUIT_SECONDS;
    tell_workers(s, worker_quit);
  }
  return EXIT_OK;
}

static int serve(struct server *s, const sigset_t *set) {
  tell_workers(s, worker_serve);
  announce(s);
  int number;
  do number = sigwaitinfo(set, NULL);
  while (number != SIGTERM && number != SIGINT);
  log_message(LOG_INFO, "stopping: %s", number == SIGINT ? "SIGINT" : "SIGTERM");
  remove_sockets(s);
  tell_workers(s, worker_drain);
  int code = wait_for_end(s, set);
  if (has_ended(s)) return code;
  log_stop();
  _exit(code); // whatever still runs is left where it is
}

static void raise_descriptor_limit(void) {
  struct rlimit r;
  if (getrlimit(RLIMIT_NOFILE, &r) == 0) r.rlim_cur = r.rlim_max, setrlimit(RLIMIT_NOFILE, &r);
}

static void deinit(struct server *s) {
  remove_sockets(s);
  tell_workers(s, worker_quit);
  for (size_t i = 0; i < s->worker_count; i++)
    if (s->workers[i]) worker_free(s->workers[i]);
  for (size_t i = 0; i < s->worker_count * s->listen_count; i++)
    if (s->fds[i] >= 0) close(s->fds[i]);
  broker_deinit(&s->broker);
  shared_registry_deinit(&s->shared);
  free(s->fds);
  free(s->workers);
}

int server_run(const struct options *o) {
  struct server s = {.options = o, .worker_count = (size_t)o->workers, .listen_count = o->listen_count};
  sigset_t set;
  int code = -1;
  open_standard_descriptors();
  raise_descriptor_limit();
  broker_init(&s.broker,
              (struct broker_limits){o->settings.limits.channels, o->settings.limits.channel_bytes});
  shared_registry_init(&s.shared, o->settings.limits.shared);
  block_signals(&set);
  s.fds = xmalloc((s.worker_count * s.listen_count + 1) * sizeof *s.fds);
  memset(s.fds, 0xff, s.worker_count * s.listen_count * sizeof *s.fds);
  s.workers = xcalloc(s.worker_count + 1, sizeof *s.workers);
  for (size_t i = 0; i < s.listen_count && code < 0; i++) code = listen_at(&s, i);
  if (code < 0) {
    log_start(STDERR_FILENO, (enum log_level)o->settings.log.level, o->settings.log.json);
    code = start_workers(&s, &set);
    if (code < 0) code = serve(&s, &set);
  }
  deinit(&s);
  log_stop();
  return code;
}
