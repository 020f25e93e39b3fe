// SPDX-License-Identifier: MIT
// Workers leave requests in a list behind a lock, and post one message for all that is in it. The rest is the
// thread's: its loop, the two connections, the channels that are followed, the requests on their way.
#include "client/redis_store.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/lock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "client/redis_asks.h"
#include "client/redis_steps.h"
#include "client/resolve.h"

static const double TICK_SECONDS = 0.1, LEASE_SECONDS = 30, TIMEOUT_SECONDS = 5;
enum { TOLD_MAX = 4 << 20 };

// On its way to all processes.
struct told {
  struct list link;
  size_t len;
  char bytes[];
};

struct redis_store {
  struct store store;
  struct redis_store_config config;
  struct redis_address address;
  char *prefix, *library, functions[CALL_FUNCTIONS_MAX];
  double timeout;
  char node[24];
  struct loop loop;
  struct inbox inbox;
  struct pool pool;
  struct resolver *resolver;
  struct redis_home home;
  struct redis_pair pair;
  struct redis_asks asks;
  struct redis_steps steps;
  struct timer tick;
  pthread_mutex_t lock;
  struct list taken, called, told; // behind the lock, as these
  size_t told_bytes, unanswered;
  bool is_posted, is_stopping;
  pthread_cond_t answered;
  struct message wake;
  struct redis_subscription nodes; // what is told to all processes
  pthread_t thread;
  bool has_thread;
};

static void note_answer(struct redis_store *s) {
  atomic_fetch_sub(&s->store.counters.waiting, 1);
  lock_take(&s->lock);
  s->unanswered--;
  pthread_cond_broadcast(&s->answered);
  lock_release(&s->lock);
}

static void on_answered(struct redis_asks *asks) {
  note_answer(container_of(asks, struct redis_store, asks));
}

static void on_stepped(struct redis_steps *steps) {
  note_answer(container_of(steps, struct redis_store, steps));
}

static void take_out(struct redis_store *s, struct list *taken, struct list *called, struct list *told) {
  list_init(taken);
  list_init(called);
  list_init(told);
  lock_take(&s->lock);
  list_splice(taken, &s->taken);
  list_splice(called, &s->called);
  list_splice(told, &s->told);
  s->told_bytes = 0;
  s->is_posted = false;
  lock_release(&s->lock);
}

static char *nodes_name(const struct redis_store *s) { return xasprintf("%s:nodes", s->prefix); }

// Nobody waits for what becomes of it.
static void publish(struct redis_store *s, const struct told *t) {
  char *name = nodes_name(s);
  struct redis_command nobody = {0};
  const char *words[] = {"PUBLISH", name, t->bytes};
  if (redis_pair_ask(&s->pair, &nobody, (struct span){0}, 3, words,
                     (const size_t[]){7, strlen(name), t->len}))
    redis_leave(&nobody);
  free(name);
}

static void on_told(struct redis_subscription *sub, struct span name, struct span message) {
  struct redis_store *s = container_of(sub, struct redis_store, nodes);
  (void)name;
  if (s->store.listener) s->store.listener->on_told(s->store.listener, message);
}

static void carry_out_all(struct redis_store *s) {
  struct list taken, called, told;
  take_out(s, &taken, &called, &told);
  for (struct list *node; (node = list_shift(&taken));)
    redis_ask_store(&s->asks, container_of(node, struct store_request, job.done.link));
  for (struct list *node; (node = list_shift(&called));)
    redis_step(&s->steps, container_of(node, struct store_call, job.done.link));
  for (struct list *node; (node = list_shift(&told));) {
    struct told *t = container_of(node, struct told, link);
    if (!s->is_stopping) publish(s, t);
    free(t);
  }
}

static void on_taken(struct message *m) {
  struct redis_store *s = container_of(m, struct redis_store, wake);
  carry_out_all(s);
  if (s->is_stopping) loop_stop(&s->loop);
}

// With the lock held.
static void post(struct redis_store *s) {
  if (s->is_posted) return;
  s->is_posted = true;
  inbox_post(&s->inbox, &s->wake);
}

static void put(struct redis_store *s, struct list *into, struct list *link) {
  atomic_fetch_add(&s->store.counters.waiting, 1);
  lock_take(&s->lock);
  list_append(into, link);
  s->unanswered++;
  post(s);
  lock_release(&s->lock);
}

static void take(struct store *base, struct store_request *r) {
  struct redis_store *s = container_of(base, struct redis_store, store);
  put(s, &s->taken, &r->job.done.link);
}

static void call(struct store *base, struct store_call *c) {
  struct redis_store *s = container_of(base, struct redis_store, store);
  put(s, &s->called, &c->job.done.link);
}

static void tell(struct store *base, struct span message) {
  struct redis_store *s = container_of(base, struct redis_store, store);
  struct told *t = xmalloc(sizeof *t + message.len);
  t->len = message.len;
  memcpy(t->bytes, message.bytes, message.len);
  list_init(&t->link);
  lock_take(&s->lock);
  bool has_room = s->told_bytes + t->len <= TOLD_MAX;
  if (has_room) list_append(&s->told, &t->link);
  if (has_room) s->told_bytes += t->len;
  post(s);
  lock_release(&s->lock);
  if (!has_room) free(t);
}

// What is asked for meanwhile by others is waited for as well, which all has a deadline.
static void flush(struct store *base) {
  struct redis_store *s = container_of(base, struct redis_store, store);
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += (time_t)(2 * s->timeout) + 1;
  lock_take(&s->lock);
  while (s->unanswered && s->has_thread && pthread_cond_timedwait(&s->answered, &s->lock, &until) == 0)
    continue;
  lock_release(&s->lock);
}

static const struct store_ops ops = {
    .take = take, .flush = flush, .is_shared = true, .tell = tell, .call = call};

static void on_tick(struct timer *t) {
  struct redis_store *s = container_of(t, struct redis_store, tick);
  redis_asks_tick(&s->asks);
  redis_pair_tell(&s->pair);
  atomic_store(&s->store.counters.is_down, s->pair.is_told);
  loop_arm(&s->loop, &s->tick, s->loop.now + TICK_SECONDS);
}

// What the URL says of us: prefix, which is the caller's, and seconds. NULL, or what is wrong with it.
static const char *read_options(struct redis_address *a, char **prefix, double *timeout) {
  char *given = redis_address_take(a, "timeout"), *end = NULL;
  *prefix = redis_address_take(a, "prefix");
  if (!*prefix) *prefix = xstrdup("spate");
  *timeout = given ? strtod(given, &end) : TIMEOUT_SECONDS;
  bool is_number = !given || (end != given && !*end && *timeout >= 0.1 && *timeout <= 60);
  free(given);
  if (!is_number) return "timeout: expected 0.1 to 60 seconds";
  if (!**prefix) return "prefix: expected some characters";
  if (!a->option_count) return NULL;
  snprintf(a->why, sizeof a->why,
           "the URL has an option '%.20s', which is not known; there are prefix and timeout",
           a->options[0].name);
  return a->why;
}

bool redis_store_judge(const char *url, char why[REDIS_STORE_WHY_MAX]) {
  struct redis_address a;
  char *prefix = NULL;
  double timeout;
  const char *wrong = redis_address_init(&a, span_of(url));
  if (!wrong) wrong = read_options(&a, &prefix, &timeout);
  if (wrong) snprintf(why, REDIS_STORE_WHY_MAX, "%s", wrong);
  redis_address_deinit(&a);
  free(prefix);
  return !wrong;
}

static void open_connections(struct redis_store *s) {
  inbox_init(&s->inbox, &s->loop);
  pool_init(&s->pool, &s->inbox, (struct pool_limits){.threads = 1, .queued = 64, .idle = 10});
  s->resolver = resolver_new(&s->loop, &s->inbox, &s->pool);
  redis_home_init(&s->home, &s->loop, s->resolver);
  redis_follows_init(&s->asks.follows, &s->loop, s->config.clock, redis_asks_ready);
  redis_pair_init(&s->pair, &s->home, &s->address, span_of(s->library), s->timeout);
  redis_asks_init(&s->asks, s->timeout);
  s->asks.counters = &s->store.counters, s->asks.on_answered = on_answered;
  s->asks.follows.calls = (struct redis_calls){.pair = &s->pair,
                                               .prefix = span_of(s->prefix),
                                               .node = span_of(s->node),
                                               .functions = s->functions,
                                               .lease = LEASE_SECONDS};
  redis_steps_init(&s->steps, &s->asks.follows.calls, on_stepped);
  char *name = nodes_name(s);
  s->nodes.on_message = on_told;
  redis_pair_subscribe(&s->pair, &s->nodes, REDIS_CHANNEL, span_of(name));
  free(name);
  s->tick.on_fire = on_tick;
  loop_arm(&s->loop, &s->tick, s->loop.now + TICK_SECONDS);
}

static void free_texts(struct redis_store *s) {
  redis_address_deinit(&s->address);
  free(s->prefix);
  free(s->library);
  free(s);
}

bool redis_store_knows(const char *url) {
  static const char *const schemes[] = {"redis:", "rediss:", "unix:", "redis+", "rediss+"};
  for (size_t i = 0; i < countof(schemes); i++)
    if (!strncmp(url, schemes[i], strlen(schemes[i]))) return true;
  return false;
}

struct redis_store *redis_store_new(const struct redis_store_config *config, char **error) {
  struct redis_store *s = xcalloc(1, sizeof *s);
  s->store.ops = &ops, s->store.kind = STORE_REDIS, s->store.clock = config->clock, s->config = *config;
  const char *wrong = redis_address_init(&s->address, span_of(config->url));
  if (!wrong) wrong = read_options(&s->address, &s->prefix, &s->timeout);
  if (!wrong && loop_init(&s->loop, config->clock, true) != 0)
    wrong = "no descriptors: raise `ulimit -n`, or the sysctl fs.epoll.max_user_watches";
  if (wrong) {
    *error = xstrdup(wrong);
    free_texts(s);
    return NULL;
  }
  snprintf(s->node, sizeof s->node, "%016llx", (unsigned long long)map_seed(s));
  s->library = call_library(config->library, s->functions);
  list_init(&s->taken);
  list_init(&s->called);
  list_init(&s->told);
  lock_init(&s->lock);
  pthread_cond_init(&s->answered, NULL);
  s->wake.deliver = on_taken;
  list_init(&s->wake.link);
  open_connections(s);
  s->store.listener = config->listener;
  config->broker->store = &s->store;
  return s;
}

struct store *redis_store_base(struct redis_store *s) {
  return &s->store;
}

static void *run(void *arg) {
  struct redis_store *s = arg;
  loop_run(&s->loop);
  return NULL;
}

bool redis_store_start(struct redis_store *s) {
  s->has_thread = thread_start(&s->thread, run, s) == 0;
  return s->has_thread;
}

void redis_store_poll(struct redis_store *s, double seconds) { loop_poll(&s->loop, seconds); }

size_t redis_store_waiting(struct redis_store *s) {
  lock_take(&s->lock);
  size_t n = s->unanswered;
  lock_release(&s->lock);
  return n;
}

void redis_store_stop(struct redis_store *s) {
  lock_take(&s->lock);
  s->is_stopping = true;
  post(s);
  lock_release(&s->lock);
  if (s->has_thread) pthread_join(s->thread, NULL);
  lock_take(&s->lock);
  s->has_thread = false;
  lock_release(&s->lock);
  carry_out_all(s);
  redis_asks_refuse(&s->asks);
  redis_steps_refuse(&s->steps);
}

void redis_store_free(struct redis_store *s) {
  loop_disarm(&s->loop, &s->tick);
  redis_unsubscribe(&s->nodes);
  redis_follows_deinit(&s->asks.follows);
  redis_pair_deinit(&s->pair);
  redis_home_deinit(&s->home);
  pool_deinit(&s->pool);
  inbox_deinit(&s->inbox);
  resolver_free(s->resolver);
  loop_deinit(&s->loop);
  pthread_cond_destroy(&s->answered);
  lock_deinit(&s->lock);
  free_texts(s);
}
