// SPDX-License-Identifier: MIT
// The thread's life is one function; the main thread speaks to it by messages to its inbox only. Everything
// it owns is made and freed on the thread itself, but for its Lua states, which the builder makes and frees.
#include "process/worker.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/lock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "client/file_watch.h"
#include "client/http_client.h"
#include "client/process.h"
#include "client/redis_link.h"
#include "loop/sock.h"
#include "loop/transport_tls.h"
#include "process/builder.h"
#include "script/app.h"
#include "script/generations.h"
#include "script/long_turns.h"
#include "script/watchdog.h"
#include "serve/admission.h"
#include "serve/connections.h"
#include "event/broker.h"
#include "store/store.h"

static const double QUIT_SECONDS = 0.5; // for programs to end, where there is no time for more

enum { DEAF_SECONDS = 1 }; // that a busy worker may take to stop listening, before nobody waits for it

enum worker_state { WORKER_STARTING, WORKER_READY, WORKER_FAILED, WORKER_ENDING };

struct worker {
  struct worker_config config;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  enum worker_state state;  // behind the lock
  bool is_deaf;             // likewise: it listens no more
  const char *sends_singly; // why, static; NULL: in batches. Set before it is ready
  struct loop loop;
  struct inbox inbox;
  struct service service;
  struct generations generations;
  struct long_turns long_turns;
  struct file_watcher file_watcher;
  struct resolver *resolver; // of connections to Redis
  struct redis_home redis_home;
  struct loop_hook watched_hook;
  atomic_bool is_watched; // from outside, while it is at work
  struct processes processes;
  struct start *starting; // NULL: none
  struct accepting {
    struct listener listener;
    struct worker *worker;
    struct listener_kind kind;
  } * accepting;
  bool listens, drains, quits;
  struct loop_hook drain_hook;
  struct message ended;
};

struct order {
  struct message message;
  struct worker *worker;
  struct start *start; // what it is about; or NULL
  void (*act)(struct worker *w, struct start *s);
};

// What spate dev shows in open pages, on its way from the main thread.
struct failure {
  struct message message;
  struct worker *worker;
  char *report;
};

static void set_state(struct worker *w, enum worker_state state) {
  lock_take(&w->lock);
  w->state = state;
  pthread_cond_broadcast(&w->changed);
  lock_release(&w->lock);
}

static void on_order(struct message *m) {
  struct order *o = container_of(m, struct order, message);
  o->act(o->worker, o->start);
  free(o);
}

// Posts a message unless the thread is about to end already; false then.
static bool post(struct worker *w, struct message *m) {
  list_init(&m->link);
  lock_take(&w->lock);
  bool alive = w->state == WORKER_READY;
  if (alive) inbox_post(&w->inbox, m);
  lock_release(&w->lock);
  return alive;
}

// The same with an order.
static bool worker_tell(struct worker *w, void (*act)(struct worker *w, struct start *s), struct start *s) {
  struct order *o = xmalloc(sizeof *o);
  *o = (struct order){.message = {.deliver = on_order}, .worker = w, .start = s, .act = act};
  bool alive = post(w, &o->message);
  if (!alive) free(o);
  return alive;
}

static void free_failure(struct failure *f) {
  free(f->report);
  free(f);
}

static void on_failure(struct message *m) {
  struct failure *f = container_of(m, struct failure, message);
  if (f->worker->generations.current) app_show_failure(f->worker->generations.current, f->report);
  free_failure(f);
}

// New certificates, on their way from the main thread.
struct new_hosts {
  struct message message;
  struct worker *worker;
  struct tls_hosts *hosts;
};

static void on_new_hosts(struct message *m) {
  struct new_hosts *n = container_of(m, struct new_hosts, message);
  tls_server_use(&n->worker->service.tls, n->hosts);
  free(n);
}

static void on_request(struct service *s, struct stream *stream) {
  generations_begin(&container_of(s, struct worker, service)->generations, stream);
}

static const struct service_ops service_ops = {.on_request = on_request};

static void on_spent(struct generations *g, struct vm *vm) {
  builder_close(container_of(g, struct worker, generations)->config.builder, vm);
}

static void finish_start(struct worker *w, char *error) {
  struct start *s = w->starting;
  w->starting = NULL;
  s->error = error;
  job_finish(&s->job);
}

static void on_started(struct generations *g, char *error) {
  finish_start(container_of(g, struct worker, generations), error);
}

// What is spoken there over a connected socket; NULL where that is closed already.
static struct transport *transport_at(const struct accepting *a, int fd) {
  struct worker *w = a->worker;
  struct transport *t = transport_socket_new(&w->loop, fd);
  if (a->kind.is_secure) return transport_tls_new(&w->service.tls, t);
  t->redirect_port = a->kind.redirect_port;
  return t;
}

static void on_accept(struct listener *l, int fd) {
  struct accepting *a = container_of(l, struct accepting, listener);
  sock_set_send_timeout(fd, a->worker->config.settings->timeouts.send);
  struct transport *t = transport_at(a, fd);
  if (t) connections_accept(&a->worker->service, t);
}

static void on_full(struct listener *l, int fd) {
  struct accepting *a = container_of(l, struct accepting, listener);
  struct transport *t = transport_at(a, fd);
  if (t) connections_turn_away(&a->worker->service, t);
}

// A worker that drains keeps the code that it has, whose on_stop functions run.
static void begin_start(struct worker *w, struct start *s) {
  struct vm *vm = s->vm;
  s->vm = NULL;
  w->starting = s;
  if (!w->drains) generations_start(&w->generations, vm);
  else builder_close(w->config.builder, vm), finish_start(w, NULL);
}

static void commit(struct worker *w, struct start *s) {
  (void)s;
  generations_commit(&w->generations);
}

static void abandon(struct worker *w, struct start *s) {
  (void)s;
  generations_abandon(&w->generations);
}

static void serve(struct worker *w, struct start *s) {
  (void)s;
  w->listens = true;
  for (size_t i = 0; i < w->config.listener_count; i++) {
    w->accepting[i] = (struct accepting){.listener = {.on_accept = on_accept, .on_full = on_full},
                                         .worker = w,
                                         .kind = w->config.listener_kinds[i]};
    listener_start(&w->accepting[i].listener, &w->loop, w->config.listeners[i]);
  }
}

// A socket that still listened would go on taking connections that nobody serves.
static void stop_listening(struct worker *w) {
  for (size_t i = 0; w->listens && i < w->config.listener_count; i++) {
    listener_stop(&w->accepting[i].listener);
    close(w->config.listeners[i]);
    w->config.listeners[i] = -1;
  }
  w->listens = false;
  lock_take(&w->lock);
  w->is_deaf = true;
  pthread_cond_broadcast(&w->changed);
  lock_release(&w->lock);
}

// Their clients are connected, and may have sent a request: to them the server has not stopped yet.
static void accept_waiting(struct worker *w) {
  for (size_t i = 0; w->listens && i < w->config.listener_count; i++)
    listener_empty(&w->accepting[i].listener);
}

static void listen_no_more(struct worker *w, struct start *s) {
  (void)s;
  accept_waiting(w);
  stop_listening(w);
}

static bool stop_when_drained(struct loop_hook *h) {
  struct worker *w = container_of(h, struct worker, drain_hook);
  if (list_empty(&w->service.conns) && !generations_are_stopping(&w->generations)) loop_stop(&w->loop);
  return false;
}

static void drain(struct worker *w, struct start *s) {
  (void)s;
  if (w->drains) return;
  w->drains = true;
  accept_waiting(w);
  stop_listening(w);
  generations_abandon(&w->generations);
  generations_stop(&w->generations);
  connections_drain(&w->service);
  w->drain_hook = (struct loop_hook){.run = stop_when_drained};
  loop_hook_add(&w->loop, &w->drain_hook);
}

static void quit(struct worker *w, struct start *s) {
  (void)s;
  w->quits = true;
  loop_stop(&w->loop);
}

// The first hook of a turn, before any script runs.
static bool ask_for_watch(struct loop_hook *h) {
  struct worker *w = container_of(h, struct worker, watched_hook);
  if (atomic_load(&w->is_watched)) return false;
  atomic_store(&w->is_watched, true);
  loop_wake(w->config.owner->inbox->loop);
  return false;
}

static void on_ended(struct message *m) {
  struct worker *w = container_of(m, struct worker, ended);
  w->config.owner->on_ended(w->config.owner);
}

static void init(struct worker *w) {
  w->watched_hook = (struct loop_hook){.run = ask_for_watch};
  loop_hook_add(&w->loop, &w->watched_hook);
  inbox_init(&w->inbox, &w->loop);
  service_init(&w->service, &w->loop, w->config.settings, &service_ops);
  connections_init(&w->service);
  w->service.inbox = &w->inbox;
  w->service.broker = w->config.broker;
  w->service.shared = w->config.shared;
  w->service.process = w->config.process;
  w->service.subject = w->config.subject;
  service_open_pools(&w->service, true);
  file_watcher_init(&w->file_watcher, &w->loop);
  w->service.file_watcher = &w->file_watcher;
  w->service.fetcher = http_client_new(&w->service);
  w->resolver = resolver_new(&w->loop, &w->inbox, &w->service.pools[WORK_NAMES]);
  redis_home_init(&w->redis_home, &w->loop, w->resolver);
  w->service.redis_home = &w->redis_home;
  long_turns_watch(&w->long_turns, &w->service, w->config.number);
  processes_init(&w->processes, &w->service);
  w->service.processes = &w->processes;
  metrics_add_worker(&w->config.process->metrics, &w->service);
  generations_init(&w->generations, &w->service, builder_loop(w->config.builder), on_spent, on_started);
}

// The library is in the program: what fails here is the program's own fault.
static void load_own_app(struct worker *w) {
  const struct vm_config config = {.service = &w->service,
                                   .loop = &w->loop,
                                   .settings = w->config.settings,
                                   .worker = w->config.number,
                                   .generation = 1};
  char *error = NULL;
  struct vm *vm = app_new(&config, &error);
  if (!vm || app_load_own(vm, w->config.own_app, &error) < 0) {
    fprintf(stderr, "spate: %s: %s\n", w->config.own_app, error);
    abort();
  }
  generations_start(&w->generations, vm);
  generations_commit(&w->generations);
}

// The environment is for specs, which are to run either way.
static const char *open_batch(struct worker *w) {
  const char *told = getenv("SPATE_IO_URING");
  if (told && !strcmp(told, "off")) return "SPATE_IO_URING=off";
  return w->config.settings->io_uring ? loop_open_batch(&w->loop) : "io_uring = \"off\" in the settings";
}

static void *worker_main(void *arg) {
  struct worker *w = arg;
  if (loop_init(&w->loop, clock_system(), true) < 0) {
    set_state(w, WORKER_FAILED);
    return NULL;
  }
  w->sends_singly = open_batch(w);
  init(w);
  watchdog_start(w->config.settings);
  if (w->config.own_app) load_own_app(w);
  set_state(w, WORKER_READY);
  loop_run(&w->loop);
  set_state(w, WORKER_ENDING);
  inbox_deliver(&w->inbox); // orders that came after the last turn: none follows
  stop_listening(w);
  connections_close(&w->service);
  generations_deinit(&w->generations);
  processes_deinit(&w->processes, w->quits ? QUIT_SECONDS : w->config.settings->timeouts.kill);
  service_close_pools(&w->service);
  http_client_free(w->service.fetcher);
  redis_home_deinit(&w->redis_home);
  resolver_free(w->resolver);
  file_watcher_deinit(&w->file_watcher);
  if (w->starting) finish_start(w, NULL);
  watchdog_stop();
  store_flush(w->config.broker->store); // its answers come home here
  if (w->config.owner->on_ended) inbox_post(w->config.owner->inbox, &w->ended);
  metrics_remove_worker(&w->config.process->metrics, &w->service);
  connections_deinit(&w->service);
  service_deinit(&w->service);
  inbox_deinit(&w->inbox);
  loop_deinit(&w->loop);
  return NULL;
}

// True once the thread is ready for orders.
static bool wait_ready(struct worker *w) {
  lock_take(&w->lock);
  while (w->state == WORKER_STARTING) pthread_cond_wait(&w->changed, &w->lock);
  bool ready = w->state == WORKER_READY;
  lock_release(&w->lock);
  return ready;
}

struct worker *worker_new(const struct worker_config *config) {
  struct worker *w = xcalloc(1, sizeof *w);
  w->config = *config;
  admission_ref(&config->process->admission, config->settings->limits.connections,
                config->settings->limits.connections_per_address);
  w->accepting = xcalloc(config->listener_count + 1, sizeof *w->accepting);
  w->ended = (struct message){.deliver = on_ended};
  list_init(&w->ended.link);
  lock_init(&w->lock);
  pthread_cond_init(&w->changed, NULL);
  bool has_thread = thread_start(&w->thread, worker_main, w) == 0;
  if (has_thread && wait_ready(w)) return w;
  if (has_thread) pthread_join(w->thread, NULL);
  admission_unref(&config->process->admission);
  free(w->accepting);
  free(w);
  return NULL;
}

const char *worker_sends_singly(const struct worker *w) { return w->sends_singly; }

struct service *worker_service(struct worker *w) {
  return &w->service;
}

void worker_start(struct worker *w, struct start *s) {
  if (worker_tell(w, begin_start, s)) return;
  builder_close(w->config.builder, s->vm);
  job_finish(&s->job);
}

void worker_commit(struct worker *w) { worker_tell(w, commit, NULL); }

void worker_abandon(struct worker *w) { worker_tell(w, abandon, NULL); }

void worker_show_failure(struct worker *w, const char *report) {
  struct failure *f = xmalloc(sizeof *f);
  *f = (struct failure){.message = {.deliver = on_failure}, .worker = w, .report = xstrdup(report)};
  if (!post(w, &f->message)) free_failure(f);
}

unsigned long worker_turns(struct worker *w) {
  return atomic_load_explicit(&w->loop.turn, memory_order_relaxed);
}

void worker_wake(struct worker *w) { loop_wake(&w->loop); }

unsigned long worker_turn(struct worker *w, double *cpu) {
  clockid_t clock;
  struct timespec t = {0};
  unsigned long turn = loop_running_turn(&w->loop);
  bool runs = turn && pthread_getcpuclockid(w->thread, &clock) == 0 && clock_gettime(clock, &t) == 0;
  *cpu = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
  return runs ? turn : 0;
}

bool worker_is_watched(struct worker *w) { return atomic_load(&w->is_watched); }

void worker_leave_unwatched(struct worker *w) { atomic_store(&w->is_watched, false); }

void worker_look(struct worker *w) {
  if (long_turns_would_tell(&w->long_turns)) watchdog_look_at(w->thread);
}

void worker_use_hosts(struct worker *w, struct tls_hosts *hosts) {
  struct new_hosts *n = xmalloc(sizeof *n);
  *n = (struct new_hosts){.message = {.deliver = on_new_hosts}, .worker = w, .hosts = hosts};
  if (!post(w, &n->message)) tls_hosts_unref(hosts), free(n);
}

void worker_serve(struct worker *w) { worker_tell(w, serve, NULL); }

void worker_stop_listening(struct worker *w) { worker_tell(w, listen_no_more, NULL); }

void worker_drain(struct worker *w) { worker_tell(w, drain, NULL); }

void worker_await_deaf(struct worker *w) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += DEAF_SECONDS;
  lock_take(&w->lock);
  while (!w->is_deaf && pthread_cond_timedwait(&w->changed, &w->lock, &until) == 0) continue;
  lock_release(&w->lock);
}

void worker_quit(struct worker *w) { worker_tell(w, quit, NULL); }

void worker_join(struct worker *w) { pthread_join(w->thread, NULL); }

void worker_free(struct worker *w) {
  admission_unref(&w->config.process->admission);
  lock_deinit(&w->lock);
  pthread_cond_destroy(&w->changed);
  free(w->accepting);
  free(w);
}
