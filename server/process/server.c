// SPDX-License-Identifier: MIT
// Start, signals, end. The main thread runs a loop of its own, which serves nobody: signals, the control
// socket, the watch, and what builder and workers report come there. A first stop signal drains, a second one
// ends at once; a signal while the application is loaded for the first time does what it does to any program.
#include "process/server.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "client/groups.h"
#include "client/http_client.h"
#include "event/broker.h"
#include "event/shared.h"
#include "loop/signals.h"
#include "loop/sock.h"
#include "process/activation.h"
#include "process/admin.h"
#include "process/certificates.h"
#include "process/control_server.h"
#include "process/listening.h"
#include "process/notify.h"
#include "process/reload.h"
#include "process/source_watch.h"
#include "process/stores.h"
#include "process/turns.h"
#include "process/upgrade.h"
#include "process/worker.h"
#include "serve/kick.h"

static const double QUIT_SECONDS = 1; // after shutdown.grace, for <close> variables

enum server_state { SERVER_LOADING, SERVER_SERVING, SERVER_DRAINING, SERVER_QUITTING };

struct server {
  const struct options *options;
  enum server_state state;
  int code;
  size_t worker_count, workers_started, workers_ended;
  struct worker_owner owner;
  struct worker **workers;
  struct listening listening;
  struct admin admin;
  struct broker broker;
  struct stores stores;
  struct shared_registry shared;
  struct process_state process;
  struct groups groups;
  struct loop loop;
  struct inbox inbox;
  struct signals signals;
  struct builder *builder;
  struct reload reload;
  struct control_server control;
  struct certificates certificates;
  struct source_watch watch; // where the application is developed
  struct turns turns;
  struct upgrade upgrade;
  struct notify notify;
  bool is_heir; // of a process of the program whose sockets it has taken over
  struct timer grace;
  double started_at;
};

static void tell_workers(const struct server *s, void (*order)(struct worker *w)) {
  for (size_t i = 0; i < s->worker_count; i++)
    if (s->workers[i]) order(s->workers[i]);
}

// Of two processes only one would know that it is to stop.
static void give_up_upgrade(struct server *s) {
  if (!upgrade_stop(&s->upgrade)) return;
  stores_take_back(&s->stores);
  control_server_upgraded(&s->control, "the server is stopping: the new process was killed");
}

static void quit(struct server *s, int code) {
  s->state = SERVER_QUITTING, s->code = code;
  give_up_upgrade(s);
  reload_stop(&s->reload);
  tell_workers(s, worker_quit);
  loop_arm(&s->loop, &s->grace, s->loop.now + QUIT_SECONDS);
}

static void drain(struct server *s) {
  s->state = SERVER_DRAINING, s->code = EXIT_OK;
  notify_say(&s->notify, "STOPPING=1\nSTATUS=stopping");
  give_up_upgrade(s);
  s->notify.count = 0; // workers end one by one, within shutdown.grace
  atomic_store(&s->process.is_draining, true);
  listening_remove_files(&s->listening);
  reload_stop(&s->reload);
  tell_workers(s, worker_drain);
  loop_arm(&s->loop, &s->grace, s->loop.now + s->options->settings.shutdown.grace);
}

static bool is_watched(const struct server *s) { return s->options->settings.dev.on; }

static void announce(const struct server *s) {
  for (size_t i = 0; i < s->listening.count; i++) {
    const char *bound = listening_name(&s->listening, i);
    printf("serving %s on %s%s (%zu worker%s)", s->options->app, listening_scheme(&s->listening, i), bound,
           s->worker_count, s->worker_count == 1 ? "" : "s");
    if (is_watched(s))
      printf(", %zu route%s, watching %zu file%s", s->reload.build.routes,
             s->reload.build.routes == 1 ? "" : "s", sources_count(s->process.sources),
             sources_count(s->process.sources) == 1 ? "" : "s");
    putchar('\n');
  }
  if (*admin_name(&s->admin)) printf("inspector on %s%s\n", admin_scheme(&s->admin), admin_name(&s->admin));
  fflush(stdout);
}

// Why not all workers send a turn's bytes together; NULL: they do.
static const char *sends_singly(const struct server *s) {
  for (size_t i = 0; i < s->worker_count; i++)
    if (s->workers[i] && worker_sends_singly(s->workers[i])) return worker_sends_singly(s->workers[i]);
  return NULL;
}

static void log_sends(const struct server *s) {
  const char *why = sends_singly(s);
  if (why) log_message(LOG_INFO, "sends: one by one (%s)", why);
  else log_message(LOG_INFO, "sends: io_uring");
}

// Nobody has begun anything, so that what runs beside requests ends at once.
static void end_after_start(struct server *s) {
  printf("%s: starts, no problems\n", s->options->app);
  fflush(stdout);
  drain(s);
}

static void use_certificates(struct certificates *c) {
  struct server *s = container_of(c, struct server, certificates);
  for (size_t i = 0; i < s->worker_count && c->hosts; i++)
    if (s->workers[i]) worker_use_hosts(s->workers[i], tls_hosts_ref(c->hosts));
  if (s->admin.worker && c->hosts) worker_use_hosts(s->admin.worker, tls_hosts_ref(c->hosts));
}

static void tell_ready(struct server *s, const char *state) {
  notify_say(&s->notify, "READY=1\nSTATUS=%s: %s, generation %u, on %s", state, s->options->app,
             s->reload.generation, s->listening.count ? listening_name(&s->listening, 0) : "nothing");
}

static void begin_serving(struct server *s) {
  s->state = SERVER_SERVING;
  if (s->options->only_starts) {
    end_after_start(s);
    return;
  }
  atomic_store(&s->process.is_loading, false);
  certificates_watch(&s->certificates, &s->loop);
  tell_workers(s, worker_serve);
  log_sends(s);
  announce(s);
  upgrade_tell_ready();
  tell_ready(s, "serving");
  notify_feed(&s->notify, &s->loop, s->workers, s->worker_count);
}

static unsigned begin_reload(struct server *s) {
  if (s->state == SERVER_SERVING)
    notify_say(&s->notify, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reloading", notify_microseconds());
  return reload_begin(&s->reload);
}

// While something is loaded the files are looked at once more when that is over.
static void on_saved(struct source_watch *w) {
  struct server *s = container_of(w, struct server, watch);
  if (s->state == SERVER_SERVING && !reload_is_busy(&s->reload)) begin_reload(s);
}

static void on_loaded(struct reload *r, const char *error) {
  struct server *s = container_of(r, struct server, reload);
  if (is_watched(s)) source_watch_update(&s->watch);
  if (error) fprintf(stderr, "spate: %s\n", error);
  if (s->state == SERVER_LOADING) {
    if (!r->generation) quit(s, EXIT_APP);
    else begin_serving(s);
    return;
  }
  if (error && is_watched(s) && !r->build.shows_error) worker_show_failure(s->workers[0], error);
  if (s->state != SERVER_SERVING) return; // who waits for it is told by the end
  atomic_fetch_add(error ? &s->process.reloads_failed_total : &s->process.reloads_total, 1);
  if (error) log_message(LOG_ERROR, "not reloaded: generation %u goes on", r->generation);
  else log_message(LOG_INFO, "reloaded: generation %u, in %.0f ms", r->generation, r->build.seconds * 1e3);
  tell_ready(s, error ? "serving; the last reload failed" : "serving");
  const char *refused = certificates_read(&s->certificates);
  char *half = !error && refused ? xasprintf("reloaded but for the certificates: %s", refused) : NULL;
  control_server_reloaded(&s->control, r->attempts, error ? error : half);
  free(half);
}

static void server_drain(struct server *s, const char *why) {
  log_message(LOG_INFO, "stopping: %s", why);
  drain(s);
}

// While draining: whoever still serves is told to stop. While quitting: what still runs is left where it is.
static void on_grace(struct timer *t) {
  struct server *s = container_of(t, struct server, grace);
  if (s->state == SERVER_QUITTING) {
    log_message(LOG_WARN, "scripts do not end: leaving them");
    loop_stop(&s->loop);
    return;
  }
  log_message(LOG_WARN, "still serving after shutdown.grace: closing what is open");
  quit(s, EXIT_OK);
}

// The default action of a signal that arrived before there was anything to drain.
static void die_of(struct server *s, int number) {
  sigset_t set;
  listening_remove_files(&s->listening);
  listening_remove_files(&s->admin.listening);
  sigemptyset(&set);
  sigaddset(&set, number);
  control_server_close(&s->control);
  groups_signal(&s->groups, SIGTERM);
  signal(number, SIG_DFL);
  raise(number);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void on_stop_signal(struct server *s, int number) {
  bool is_interrupt = number == SIGINT;
  if (s->state == SERVER_LOADING) die_of(s, number);
  else if (s->state == SERVER_SERVING) server_drain(s, is_interrupt ? "SIGINT" : "SIGTERM");
  else {
    s->code = is_interrupt ? EXIT_INTERRUPT : EXIT_OK;
    loop_stop(&s->loop);
  }
}

static void on_signal(struct signals *signals, int number) {
  struct server *s = container_of(signals, struct server, signals);
  if (number == SIGTERM || number == SIGINT) on_stop_signal(s, number);
  else if (number == SIGHUP && s->state == SERVER_SERVING) begin_reload(s);
}

static void on_worker_ended(struct worker_owner *owner) {
  struct server *s = container_of(owner, struct server, owner);
  if (++s->workers_ended == s->workers_started) loop_stop(&s->loop);
}

static unsigned control_reload(struct control_server *c) {
  struct server *s = container_of(c, struct server, control);
  return s->state <= SERVER_SERVING ? begin_reload(s) : 0;
}

static void give_way(struct server *s) {
  listening_leave_files(&s->listening);
  admin_leave(&s->admin);
  notify_say(&s->notify, "MAINPID=%d", (int)s->upgrade.heir);
  notify_close(&s->notify);
  server_drain(s, "a new process serves");
  stores_give(&s->stores);
  tell_workers(s, worker_await_deaf); // who is told of the upgrade meets the new process
}

static void on_upgraded(struct upgrade *u, const char *error) {
  struct server *s = container_of(u, struct server, upgrade);
  if (error) log_message(LOG_ERROR, "not upgraded: %s", error), stores_take_back(&s->stores);
  else if (s->state == SERVER_SERVING) give_way(s);
  control_server_upgraded(&s->control, error); // whoever is told so asks the new process
}

static void on_store_wanted(struct upgrade *u) {
  stores_lend(&container_of(u, struct server, upgrade)->stores);
}

static const char *control_upgrade(struct control_server *c) {
  struct server *s = container_of(c, struct server, control);
  if (s->state != SERVER_SERVING) return "the server does not serve";
  const struct listening *const sets[UPGRADE_SETS] = {&s->listening, &s->admin.listening};
  struct buf token = {0};
  if (s->options->admin_token) buf_printf(&token, "%s=%s", ADMIN_TOKEN_VARIABLE, s->options->admin_token);
  buf_append_byte(&token, '\0');
  const char *why = upgrade_begin(&s->upgrade, &s->loop, sets, token.len > 1 ? token.bytes : NULL,
                                  s->options->settings.timeouts.start);
  buf_deinit(&token);
  return why;
}

static void control_stop(struct control_server *c) {
  struct server *s = container_of(c, struct server, control);
  if (s->state == SERVER_SERVING) server_drain(s, "spate stop");
  else if (s->state == SERVER_LOADING) die_of(s, SIGTERM);
}

// One that is to take over is not yet what commands mean by the server of a script.
static const char *state_name(const struct server *s) {
  if (s->state > SERVER_SERVING) return "stopping";
  return s->is_heir && s->state == SERVER_LOADING ? "starting" : "serving";
}

static void control_status(struct control_server *c, struct buf *out) {
  struct server *s = container_of(c, struct server, control);
  bool serves = s->state <= SERVER_SERVING;
  char path[4096];
  buf_printf(out, "pid %d\napp %s\n", (int)getpid(),
             realpath(s->options->app, path) ? path : s->options->app);
  for (size_t i = 0; i < s->listening.count && serves; i++)
    buf_printf(out, "address %s%s\n", s->options->listen.list[i].is_secure ? "https://" : "",
               listening_name(&s->listening, i));
  if (*admin_name(&s->admin)) buf_printf(out, "admin %s%s\n", admin_scheme(&s->admin), admin_name(&s->admin));
  const char *why = sends_singly(s);
  buf_printf(out, "state %s\nworkers %zu\nuptime %.0f\n", state_name(s), s->worker_count,
             s->loop.now - s->started_at);
  buf_printf(out, why ? "sends one by one (%s)\n" : "sends io_uring\n", why);
  const struct figures f = metrics_read(&s->process, &s->broker, &s->shared);
  for (const struct metric *m = metrics_table; m->name; m++)
    if (!metric_is_histogram(m))
      buf_printf(out, "%s %llu\n", m->name, (unsigned long long)metric_value(m, &f));
}

static const struct control_server_ops control_server_ops = {
    .reload = control_reload, .stop = control_stop, .status = control_status, .upgrade = control_upgrade};

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
  sigaddset(set, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, set, NULL);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGCHLD,
         SIG_DFL); // ignored, as whoever starts it may have left it, the kernel forgets how programs end
}

static void raise_descriptor_limit(void) {
  struct rlimit r;
  if (getrlimit(RLIMIT_NOFILE, &r) == 0) r.rlim_cur = r.rlim_max, setrlimit(RLIMIT_NOFILE, &r);
}

static struct worker_config config_of(struct server *s, size_t i) {
  return (struct worker_config){.number = (int)i,
                                .settings = &s->options->settings,
                                .broker = &s->broker,
                                .shared = &s->shared,
                                .process = &s->process,
                                .builder = s->builder,
                                .listeners = listening_of(&s->listening, i),
                                .listener_kinds = s->listening.kinds,
                                .listener_count = s->listening.count,
                                .owner = &s->owner};
}

static bool start_admin(struct server *s) {
  const struct worker_config config = config_of(s, 0);
  return admin_start(&s->admin, &config);
}

static bool start_workers(struct server *s) {
  s->builder = builder_new(&s->options->settings);
  for (size_t i = 0; i < s->worker_count && s->builder; i++) {
    const struct worker_config config = config_of(s, i);
    s->workers[i] = worker_new(&config);
    s->workers_started += s->workers[i] != NULL;
  }
  return s->workers_started == s->worker_count && start_admin(s);
}

static void server_loop(struct server *s) {
  control_server_open(&s->control, &s->loop, &control_server_ops);
  reload_init(&s->reload, s->builder, &s->inbox, &s->options->settings, s->options->app, s->workers,
              s->worker_count);
  turns_watch(&s->turns, &s->loop, &s->options->settings, s->workers, s->worker_count);
  s->reload.on_done = on_loaded;
  s->reload.sources = s->process.sources;
  use_certificates(&s->certificates);
  admin_serve(&s->admin);
  reload_begin(&s->reload);
  loop_run(&s->loop);
  control_server_close(&s->control);
}

// Ends the process, and the programs that it has started, where scripts do not end by themselves.
static void leave_what_runs(struct server *s) {
  if (s->workers_ended == s->workers_started && !s->reload.is_building) return;
  listening_remove_files(&s->admin.listening);
  groups_signal(&s->groups, SIGKILL);
  stores_stop(&s->stores);
  log_stop();
  _exit(s->code);
}

// Standard streams, the loop, signals, control and watch, files that are read while a script loads, and some
// connections; then each worker's loop with its ring, and for each address a listener and a spare for
// refusals.
static bool has_descriptors(const struct options *o) {
  enum { OF_PROCESS = 16, OF_LOOP = 3, OF_ADDRESS = 2 };
  size_t of_admin = *o->settings.admin.address ? OF_LOOP + OF_ADDRESS : 0;
  size_t needed = OF_PROCESS + of_admin + (size_t)o->workers * (OF_LOOP + OF_ADDRESS * o->listen.count);
  size_t max = sock_descriptors_max();
  if (max < needed)
    fprintf(stderr, "spate: `ulimit -n` is %zu: %zu descriptors are needed at least: raise it\n", max,
            needed);
  return max >= needed;
}

// False where the kernel has no descriptors for the loop of the main thread.
static bool init(struct server *s, const struct options *o, const sigset_t *set) {
  const struct settings *settings = &o->settings;
  s->options = o, s->worker_count = (size_t)o->workers;
  atomic_store(&s->process.is_loading, true);
  listening_init(&s->listening, &o->listen, s->worker_count, "-l", o->listen_is_configured);
  admin_init(&s->admin, o);
  s->workers = xcalloc(s->worker_count + 1, sizeof *s->workers);
  s->grace.on_fire = on_grace;
  s->upgrade.on_done = on_upgraded;
  s->upgrade.on_store_wanted = on_store_wanted;
  s->signals.on_signal = on_signal;
  broker_init(&s->broker, settings_broker_limits(settings));
  metrics_init(&s->process.metrics);
  groups_init(&s->groups);
  tls_keys_init(&s->process.tls_keys, clock_system());
  s->process.groups = &s->groups;
  shared_registry_init(&s->shared, settings->limits.shared);
  bool ok = loop_init(&s->loop, clock_system(), true) == 0;
  inbox_init(&s->inbox, &s->loop);
  ok = ok && signals_start(&s->signals, &s->loop, set) == 0;
  s->owner = (struct worker_owner){.inbox = &s->inbox, .on_ended = on_worker_ended};
  s->started_at = s->loop.now;
  if (!is_watched(s)) return ok;
  source_watch_open(&s->watch, &s->loop, on_saved);
  s->process.sources = &s->watch.sources;
  return ok;
}

// The builder's own end: a state that it closes may run a finalizer that does not end.
static void end_builder(struct server *s) {
  if (!s->builder || builder_free(s->builder, QUIT_SECONDS)) return;
  log_message(LOG_WARN, "a finalizer does not end: leaving it");
  stores_stop(&s->stores);
  log_stop();
  _exit(s->code);
}

// Workers give their states to the builder, whose end closes them, and their finalizers use what the workers
// and the server have: threads first, then states, then what is left.
static void deinit(struct server *s) {
  upgrade_stop(&s->upgrade);
  notify_close(&s->notify);
  turns_deinit(&s->turns);
  reload_deinit(&s->reload);
  tell_workers(s, worker_join);
  admin_stop(&s->admin);
  end_builder(s);
  stores_close(&s->stores);
  tell_workers(s, worker_free);
  admin_free(&s->admin);
  certificates_close(&s->certificates);
  tls_keys_deinit(&s->process.tls_keys);
  if (is_watched(s)) source_watch_close(&s->watch);
  listening_close(&s->listening);
  signals_stop(&s->signals);
  inbox_deinit(&s->inbox);
  loop_deinit(&s->loop);
  broker_deinit(&s->broker);
  shared_registry_deinit(&s->shared);
  metrics_deinit(&s->process.metrics);
  groups_deinit(&s->groups);
  free(s->workers);
}

static bool open_certificates(struct server *s) {
  struct certificates *c = &s->certificates;
  c->on_new = use_certificates;
  if (certificates_open(c, &s->options->settings.tls, &s->process.tls_keys)) return true;
  fprintf(stderr, "spate: %s\n", c->error);
  return false;
}

// Whether they come from a process that is upgraded; < 0: not as they should.
static int take_over(struct server *s, struct listening *l, enum upgrade_set set) {
  int taken = upgrade_take(l, set);
  if (taken <= 0) return taken;
  s->is_heir = true;
  listening_adopt(l);
  return taken;
}

// -1, or an exit code: what is wrong was printed.
static int open_sockets(struct server *s) {
  struct activation passed;
  int taken = take_over(s, &s->listening, UPGRADE_SERVING);
  int admin_taken = taken < 0 ? taken : take_over(s, &s->admin.listening, UPGRADE_ADMIN);
  if (admin_taken < 0) return EXIT_CONFIG;
  activation_init(&passed);
  int code = taken ? -1 : listening_open(&s->listening, &passed);
  if (code < 0 && !admin_taken) code = admin_open(&s->admin, &passed);
  activation_deinit(&passed);
  return code;
}

static bool open_stores(struct server *s, struct store_listener *listener) {
  if (s->is_heir) upgrade_want_store();
  return stores_open(&s->stores, &s->options->settings, &s->broker, &s->shared, listener, s->is_heir);
}

int server_run(const struct options *o) {
  struct server s = {.notify = {.fd = -1}};
  sigset_t set;
  open_standard_descriptors();
  raise_descriptor_limit();
  if (!has_descriptors(o)) return EXIT_LISTEN;
  loop_prepare_process();
  http_client_prepare_process();
  block_signals(&set);
  if (init(&s, o, &set)) s.code = open_sockets(&s);
  else {
    fprintf(stderr, "spate: no descriptors for an event loop: raise `ulimit -n`, or the "
                    "sysctl fs.epoll.max_user_watches\n");
    s.code = EXIT_LISTEN;
  }
  if (s.code < 0) {
    log_start(STDERR_FILENO, (enum log_level)o->settings.log.level, (enum log_format)o->settings.log.format);
    notify_open(&s.notify, s.is_heir);
    struct store_listener *listener = kick_listener(&s.process);
    if (!open_certificates(&s)) s.code = EXIT_CONFIG;
    else if (!open_stores(&s, listener)) s.code = EXIT_CONFIG;
    else if (start_workers(&s)) server_loop(&s);
    else {
      fprintf(stderr,
              "spate: no threads, or no descriptors, for %zu workers: raise `ulimit -u`, `ulimit -n` or the "
              "sysctl fs.epoll.max_user_watches\n",
              s.worker_count);
      quit(&s, EXIT_APP);
      if (s.workers_started) loop_run(&s.loop);
    }
    leave_what_runs(&s);
  }
  deinit(&s);
  log_stop();
  return s.code;
}
