// SPDX-License-Identifier: MIT
// The thread's life is one function; the main thread speaks to it by messages to its inbox only. Everything
// it owns is made and freed on the thread itself.
#include "process/worker.h"
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "loop/inbox.h"
#include "loop/sock.h"
#include "loop/transport.h"
#include "script/exchange.h"
#include "script/vm.h"
#include "script/watchdog.h"
#include "serve/service.h"

enum { STACK_SIZE = 8 << 20 }; // nested coroutine.close overflows smaller ones

struct worker {
  struct worker_config config;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  enum worker_state state; // behind the lock
  char *error;
  struct loop loop;
  struct inbox inbox;
  struct service service;
  struct vm *vm;
  struct accepting {
    struct listener listener;
    struct worker *worker;
  } * accepting;
  bool listens, drains;
  struct loop_hook drain_hook;
};

struct order {
  struct message message;
  struct worker *worker;
  void (*act)(struct worker *w);
};

static void set_state(struct worker *w, enum worker_state state) {
  pthread_mutex_lock(&w->lock);
  w->state = state;
  pthread_cond_broadcast(&w->changed);
  pthread_mutex_unlock(&w->lock);
}

static void on_order(struct message *m) {
  struct order *o = container_of(m, struct order, message);
  struct worker *w = o->worker;
  void (*act)(struct worker *) = o->act;
  free(o);
  act(w);
}

// Posts an order unless the thread has ended already.
static void tell(struct worker *w, void (*act)(struct worker *w)) {
  struct order *o = xmalloc(sizeof *o);
  *o = (struct order){.message = {.deliver = on_order}, .worker = w, .act = act};
  list_init(&o->message.link);
  pthread_mutex_lock(&w->lock);
  bool alive = w->state == WORKER_READY;
  if (alive) inbox_post(&w->inbox, &o->message);
  pthread_mutex_unlock(&w->lock);
  if (!alive) free(o);
}

static void on_request(struct service *s, struct stream *stream) {
  exchange_begin(container_of(s, struct worker, service)->vm, stream);
}

static const struct service_ops service_ops = {.on_request = on_request};

static void on_accept(struct listener *l, int fd) {
  struct accepting *a = container_of(l, struct accepting, listener);
  service_accept(&a->worker->service, transport_socket_new(&a->worker->loop, fd));
}

static void serve(struct worker *w) {
  w->listens = true;
  for (size_t i = 0; i < w->config.listener_count; i++) {
    w->accepting[i] = (struct accepting){.listener = {.on_accept = on_accept}, .worker = w};
    listener_start(&w->accepting[i].listener, &w->loop, w->config.listeners[i]);
  }
  vm_start(w->vm);
}

// A socket that still listened would go on taking connections that nobody serves.
static void stop_listening(struct worker *w) {
  for (size_t i = 0; w->listens && i < w->config.listener_count; i++) {
    listener_stop(&w->accepting[i].listener);
    close(w->config.listeners[i]);
    w->config.listeners[i] = -1;
  }
  w->listens = false;
}

static bool stop_when_drained(struct loop_hook *h) {
  struct worker *w = container_of(h, struct worker, drain_hook);
  if (!service_connections(&w->service) && !w->vm->listed_running) loop_stop(&w->loop);
  return false;
}

static void drain(struct worker *w) {
  if (w->drains) return;
  w->drains = true;
  stop_listening(w);
  vm_stop(w->vm);
  service_drain(&w->service);
  w->drain_hook = (struct loop_hook){.run = stop_when_drained};
  loop_hook_add(&w->loop, &w->drain_hook);
}

static void quit(struct worker *w) { loop_stop(&w->loop); }

static int load(struct worker *w) {
  w->vm = vm_new(&w->service, w->config.settings, w->config.number, &w->error);
  if (!w->vm) return -1;
  watchdog_start(w->vm);
  if (vm_load(w->vm, w->config.app, &w->error) == 0) return 0;
  vm_free(w->vm);
  return -1;
}

static void run(struct worker *w) {
  set_state(w, WORKER_READY);
  loop_run(&w->loop);
  set_state(w, WORKER_ENDING);
  stop_listening(w);
  service_close_all(&w->service);
  vm_free(w->vm);
  set_state(w, WORKER_ENDED);
}

static void *worker_main(void *arg) {
  struct worker *w = arg;
  if (loop_init(&w->loop, clock_system(), true) < 0) {
    w->error = xstrdup("no epoll instance for a worker");
    set_state(w, WORKER_FAILED);
    return NULL;
  }
  inbox_init(&w->inbox, &w->loop);
  service_init(&w->service, &w->loop, w->config.settings, &service_ops);
  w->service.inbox = &w->inbox;
  w->service.broker = w->config.broker;
  w->service.shared = w->config.shared;
  if (load(w) == 0) run(w);
  else set_state(w, WORKER_FAILED);
  service_deinit(&w->service);
  inbox_deinit(&w->inbox);
  loop_deinit(&w->loop);
  return NULL;
}

struct worker *worker_new(const struct worker_config *config) {
  struct worker *w = xcalloc(1, sizeof *w);
  pthread_attr_t attributes;
  w->config = *config;
  w->accepting = xcalloc(config->listener_count + 1, sizeof *w->accepting);
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->changed, NULL);
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_SIZE);
  int failed = pthread_create(&w->thread, &attributes, worker_main, w);
  pthread_attr_destroy(&attributes);
  if (!failed) return w;
  free(w->accepting);
  free(w);
  return NULL;
}

int worker_wait_loaded(struct worker *w, const char **error) {
  pthread_mutex_lock(&w->lock);
  while (w->state == WORKER_LOADING) pthread_cond_wait(&w->changed, &w->lock);
  enum worker_state state = w->state;
  pthread_mutex_unlock(&w->lock);
  *error = w->error;
  return state == WORKER_FAILED ? -1 : 0;
}

void worker_serve(struct worker *w) { tell(w, serve); }

void worker_drain(struct worker *w) { tell(w, drain); }

void worker_quit(struct worker *w) { tell(w, quit); }

bool worker_has_ended(struct worker *w) {
  pthread_mutex_lock(&w->lock);
  bool ended = w->state == WORKER_ENDED || w->state == WORKER_FAILED;
  pthread_mutex_unlock(&w->lock);
  return ended;
}

void worker_free(struct worker *w) {
  pthread_join(w->thread, NULL);
  pthread_mutex_destroy(&w->lock);
  pthread_cond_destroy(&w->changed);
  free(w->accepting);
  free(w->error);
  free(w);
}
