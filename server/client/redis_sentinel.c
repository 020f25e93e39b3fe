// SPDX-License-Identifier: MIT
// A sentinel that does not answer, or does not know the name, is followed by the next, and the one that
// answered is asked first the next time. Who waits meanwhile waits for the same answer. Connections are made
// for each question.
#include "client/redis_sentinel.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/digits.h"
#include "base/mem.h"

struct redis_sentinel {
  struct redis_locator locator;
  struct redis_home *home;
  struct redis_address as; // as whom to speak to sentinels; its texts are the address's
  struct list waiting;     // links
  struct redis *redis;     // to the sentinel that is being asked; NULL: none
  struct redis_command command;
  unsigned at, tried; // of the hosts
  char why[160];
};

static const double CONNECT_SECONDS = 1, WAIT_SECONDS = 0.5, ANSWER_SECONDS = 2;

static void sentinel_ask(struct redis_sentinel *s);

// Tells all that wait now; one that is told may ask anew.
static void sentinel_tell(struct redis_sentinel *s, const char *host, unsigned port) {
  struct list waiting;
  list_init(&waiting);
  list_splice(&waiting, &s->waiting);
  s->tried = 0;
  for (struct list *node; (node = list_shift(&waiting));)
    redis_link_located(container_of(node, struct redis_link, locate_link), host, port, s->why);
}

static void sentinel_hang_up(struct redis_sentinel *s) {
  redis_leave(&s->command);
  if (s->redis) redis_free(s->redis);
  s->redis = NULL;
}

static bool read_place(const redisReply *r, struct span *host, uint64_t *port) {
  if (!r || r->type != REDIS_REPLY_ARRAY || r->elements != 2) return false;
  *host = redis_text(r->element[0]);
  return host->len && decimal_read(redis_text(r->element[1]), UINT16_MAX, port) && *port;
}

static void on_reply(struct redis_command *c, struct redis_answer *a) {
  struct redis_sentinel *s = container_of(c, struct redis_sentinel, command);
  struct span host;
  uint64_t port;
  char *name = read_place(a->reply, &host, &port) ? xstrndup(host.bytes, host.len) : NULL;
  snprintf(s->why, sizeof s->why, "no sentinel knows where '%s' is%s%s", s->as.master, a->message ? ": " : "",
           a->message ? a->message : "");
  sentinel_hang_up(s);
  if (name) sentinel_tell(s, name, (unsigned)port);
  else {
    s->at = (s->at + 1) % s->as.host_count;
    if (++s->tried < s->as.host_count) sentinel_ask(s);
    else sentinel_tell(s, NULL, 0);
  }
  free(name);
}

static void sentinel_ask(struct redis_sentinel *s) {
  const struct redis_options options = {
      .times = {.connect = CONNECT_SECONDS, .silence = ANSWER_SECONDS, .ping = ANSWER_SECONDS},
      .wait = WAIT_SECONDS,
      .timeout = ANSWER_SECONDS,
      .commands_max = 1,
      .bytes_max = 64 << 10};
  const char *const argv[] = {"SENTINEL", "get-master-addr-by-name", s->as.master};
  const size_t lens[] = {strlen(argv[0]), strlen(argv[1]), strlen(argv[2])};
  s->redis = redis_new(s->home, &s->as, &options);
  redis_move(s->redis, s->as.hosts[s->at].name, s->as.hosts[s->at].port);
  s->command = (struct redis_command){.on_reply = on_reply};
  redis_ask(s->redis, &s->command, 3, argv, lens);
}

static void find(struct redis_locator *r, struct redis_link *l) {
  struct redis_sentinel *s = container_of(r, struct redis_sentinel, locator);
  list_append(&s->waiting, &l->locate_link);
  if (!s->redis) sentinel_ask(s);
}

static void leave(struct redis_locator *r, struct redis_link *l) {
  (void)r;
  list_remove(&l->locate_link);
}

struct redis_sentinel *redis_sentinel_new(struct redis_home *home, const struct redis_address *address) {
  struct redis_sentinel *s = xcalloc(1, sizeof *s);
  s->locator = (struct redis_locator){.find = find, .leave = leave};
  s->home = home, s->as = *address;
  s->as.user = address->sentinel_user, s->as.password = address->sentinel_password, s->as.db = 0;
  list_init(&s->waiting);
  return s;
}

void redis_sentinel_free(struct redis_sentinel *s) {
  sentinel_hang_up(s);
  free(s);
}

struct redis_locator *redis_sentinel_locator(struct redis_sentinel *s) {
  return &s->locator;
}
