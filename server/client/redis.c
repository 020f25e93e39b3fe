// SPDX-License-Identifier: MIT
// An entry is what redis has of a command: first in `unsent`, with its bytes, then in `sent` until its answer
// comes or the connection is lost, also where nobody waits for it any more. Answers come in the order of
// sending, which is all that says whose they are.
#include "client/redis.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

const struct redis_options redis_usual = {.times = {.connect = 5, .silence = 5, .ping = INFINITY},
                                          .wait = 2,
                                          .timeout = 10,
                                          .commands_max = 10000,
                                          .bytes_max = 64 << 20};

struct redis_entry {
  struct list link;
  struct redis *redis;
  struct redis_command *command; // NULL: nobody waits
  struct timer timer;
  double deadline; // of the answer
  size_t bytes_len;
  unsigned prefix; // answers to be passed over before its own
  char *wrong;     // the first error among those
  bool is_sent;
  char bytes[];
};

struct redis {
  struct redis_link link;
  struct redis_options options;
  struct list unsent, sent;
  size_t commands, bytes; // of both
  void (*on_state)(struct redis *r, bool is_ready, void *owner);
  void *owner;
  double down_since; // while there is no connection
  struct redis_doomed doomed;
  bool is_freed, is_telling; // is_telling: that it is ready
};

static struct redis *redis_of(const struct redis_link *l) { return container_of(l, struct redis, link); }

static struct loop *loop_of(const struct redis *r) { return r->link.home->loop; }

// Frees an entry; who waits for it, if anybody, does so no longer.
static struct redis_command *entry_end(struct redis_entry *e) {
  struct redis_command *c = e->command;
  struct redis *r = e->redis;
  if (c) c->entry = NULL;
  list_remove(&e->link);
  loop_disarm(loop_of(r), &e->timer);
  r->commands--, r->bytes -= e->bytes_len;
  free(e->wrong);
  free(e);
  return c;
}

static void tell(struct redis_command *c, enum redis_code code, redisReply **reply, const char *message) {
  struct redis_answer a = {.code = code, .reply = reply ? *reply : NULL, .message = message};
  if (c) c->on_reply(c, &a);
  if (reply) *reply = a.reply;
}

static void on_timeout(struct timer *t) {
  struct redis_entry *e = container_of(t, struct redis_entry, timer);
  struct redis *r = e->redis;
  char message[300], name[128];
  redis_link_name(&r->link, name);
  if (e->is_sent) {
    snprintf(message, sizeof message, "redis %s: no answer in time", name);
    struct redis_command *c = e->command;
    e->command = NULL;
    if (c) c->entry = NULL;
    tell(c, REDIS_CODE_UNKNOWN, NULL, message);
    return;
  }
  if (r->link.state == LINK_READY)
    snprintf(message, sizeof message, "redis %s: too slow, it was not sent", name);
  else if (r->link.why[0]) snprintf(message, sizeof message, "%s", r->link.why);
  else snprintf(message, sizeof message, "redis %s: no connection yet", name);
  tell(entry_end(e), REDIS_CODE_UNAVAILABLE, NULL, message);
}

static void send_entry(struct redis *r, struct redis_entry *e) {
  redis_link_send(&r->link, (struct span){e->bytes, e->bytes_len}, e->prefix + 1);
  list_remove(&e->link); // in unsent, or in none
  list_append(&r->sent, &e->link);
  e->is_sent = true;
  if (e->deadline < INFINITY) loop_arm(loop_of(r), &e->timer, e->deadline);
  else loop_disarm(loop_of(r), &e->timer);
}

// Sends what waits, while there is room below.
static void pump(struct redis *r) {
  while (r->link.state == LINK_READY && redis_link_has_room(&r->link) && !list_empty(&r->unsent))
    send_entry(r, container_of(r->unsent.next, struct redis_entry, link));
}

static void on_ready(struct redis_link *l) {
  struct redis *r = redis_of(l);
  r->is_telling = true;
  if (r->on_state) r->on_state(r, true, r->owner);
  r->is_telling = false;
  pump(r);
}

static void on_room(struct redis_link *l) { pump(redis_of(l)); }

static char *error_text(const redisReply *reply) {
  return xasprintf("redis: %.*s", (int)MIN(redis_text(reply).len, (size_t)500), reply->str);
}

static void pass_over(struct redis_entry *e, const redisReply *reply) {
  e->prefix--;
  if (reply->type == REDIS_REPLY_ERROR && !e->wrong) e->wrong = error_text(reply);
}

// What was wrong among those before says more than that one was.
static char *message_of(struct redis_entry *e, const redisReply *reply) {
  char *wrong = e->wrong;
  e->wrong = NULL;
  return wrong ? wrong : error_text(reply);
}

static bool on_reply(struct redis_link *l, redisReply **reply) {
  struct redis *r = redis_of(l);
  if (list_empty(&r->sent)) return true; // which the link was not asked for
  struct redis_entry *e = container_of(r->sent.next, struct redis_entry, link);
  if (e->prefix) return pass_over(e, *reply), true;
  enum redis_code code = redis_code_of(*reply);
  char *message = code ? message_of(e, *reply) : NULL;
  if (code == REDIS_CODE_READONLY) redis_link_drop(l, "it has become a replica");
  tell(entry_end(e), code, reply, message);
  free(message);
  return true;
}

// Who is told may leave other commands, ask anew, or free the client: then nobody is told any more.
static void end_all(struct redis *r, struct list *entries, enum redis_code code, const char *message) {
  struct list ending;
  list_init(&ending);
  list_splice(&ending, entries);
  while (!list_empty(&ending)) {
    struct redis_command *c = entry_end(container_of(ending.next, struct redis_entry, link));
    if (!r->is_freed) tell(c, code, NULL, message);
  }
}

// What was not sent waits for the next try, for its time; but where there has been no server for as long as
// that, it is told at once.
static void on_lost(struct redis_link *l) {
  struct redis *r = redis_of(l);
  double now = loop_time(loop_of(r));
  char *message = xstrdup(l->why);
  bool was_ready = l->was_ready;
  if (was_ready) r->down_since = now;
  end_all(r, &r->sent, REDIS_CODE_UNKNOWN, message);
  if (now >= r->down_since + r->options.wait) end_all(r, &r->unsent, REDIS_CODE_UNAVAILABLE, message);
  free(message);
  if (was_ready && r->on_state && !r->is_freed) r->on_state(r, false, r->owner);
}

// A command that nobody waits for, and that tells a server that is there from one that is not.
static void on_idle(struct redis_link *l) {
  static const char ping[] = "*1\r\n$4\r\nPING\r\n";
  struct redis_command nobody = {0};
  if (redis_ask_formatted(redis_of(l), &nobody, (struct span){ping, sizeof ping - 1}, 0))
    redis_leave(&nobody);
}

static const struct redis_link_ops link_ops = {
    .on_ready = on_ready, .on_reply = on_reply, .on_room = on_room, .on_idle = on_idle, .on_lost = on_lost};

struct redis *redis_new(struct redis_home *home, const struct redis_address *address,
                        const struct redis_options *options) {
  struct redis *r = xcalloc(1, sizeof *r);
  r->options = *options;
  list_init(&r->unsent);
  list_init(&r->sent);
  redis_link_init(&r->link, home, &link_ops, address, &options->times);
  return r;
}

static void free_later(struct redis_doomed *d) { free(container_of(d, struct redis, doomed)); }

static void drop_all(struct list *entries) {
  while (!list_empty(entries)) entry_end(container_of(entries->next, struct redis_entry, link));
}

void redis_free(struct redis *r) {
  r->is_freed = true;
  drop_all(&r->sent);
  drop_all(&r->unsent);
  redis_link_deinit(&r->link);
  r->doomed.free = free_later;
  redis_home_free_later(r->link.home, &r->doomed);
}

void redis_on_state(struct redis *r, void (*on_state)(struct redis *r, bool is_ready, void *owner),
                    void *owner) {
  r->on_state = on_state, r->owner = owner;
}

void redis_set_locator(struct redis *r, struct redis_locator *locator) { r->link.locator = locator; }

void redis_move(struct redis *r, const char *host, unsigned port) { redis_link_move(&r->link, host, port); }

void redis_open(struct redis *r) {
  if (r->link.state == LINK_CLOSED) r->down_since = loop_time(loop_of(r));
  redis_link_open(&r->link);
}

void redis_reset(struct redis *r, const char *why) { redis_link_drop(&r->link, why); }

static bool has_room(const struct redis *r, size_t len) {
  return r->commands < r->options.commands_max &&
         len <= r->options.bytes_max - MIN(r->bytes, r->options.bytes_max);
}

static void queue_entry(struct redis *r, struct redis_entry *e, double now) {
  list_append(&r->unsent, &e->link);
  if (r->link.state == LINK_CLOSED) r->down_since = now;
  redis_link_open(&r->link);
  pump(r);
  if (!e->is_sent) loop_arm(loop_of(r), &e->timer, MIN(now + r->options.wait, e->deadline));
}

bool redis_ask_formatted(struct redis *r, struct redis_command *c, struct span bytes, unsigned prefix) {
  double now = loop_time(loop_of(r)), timeout = c->timeout > 0 ? c->timeout : r->options.timeout;
  if (!has_room(r, bytes.len)) return false;
  struct redis_entry *e = xmalloc(sizeof *e + bytes.len);
  *e = (struct redis_entry){.redis = r, .command = c, .timer = {.on_fire = on_timeout}};
  e->deadline = now + timeout, e->bytes_len = bytes.len, e->prefix = prefix;
  memcpy(e->bytes, bytes.bytes, bytes.len);
  r->commands++, r->bytes += bytes.len;
  c->entry = e;
  list_init(&e->link);
  if (r->is_telling && r->link.state == LINK_READY) send_entry(r, e);
  else queue_entry(r, e, now);
  return true;
}

bool redis_ask(struct redis *r, struct redis_command *c, int argc, const char *const *argv,
               const size_t *lens) {
  struct buf bytes = {0};
  redis_format(&bytes, argc, argv, lens);
  bool is_taken = redis_ask_formatted(r, c, buf_span(&bytes), 0);
  buf_deinit(&bytes);
  return is_taken;
}

void redis_leave(struct redis_command *c) {
  struct redis_entry *e = c->entry;
  if (c->routed) c->routed->leave(c->routed);
  if (!e) return;
  c->entry = NULL, e->command = NULL;
  if (!e->is_sent) entry_end(e);
}

bool redis_is_ready(const struct redis *r) { return r->link.state == LINK_READY; }

size_t redis_waiting(const struct redis *r) { return r->commands; }

const struct redis_link *redis_link(const struct redis *r) { return &r->link; }
