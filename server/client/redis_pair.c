// SPDX-License-Identifier: MIT
// A server that is promoted or demoted keeps its connections, and a name may lead to another server each time
// it is looked up. So each connection asks what it is connected to before anything else; where they differ
// both are made anew.
#include "client/redis_pair.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"

enum { COMMANDS_MAX = 100 * 1000 };
static const double TELL_SECONDS = 1;

// The value of a line "name:value" of what INFO says.
static struct span info_value(struct span text, struct span name) {
  while (text.len) {
    struct span line = span_split(&text, '\n'), key = span_split(&line, ':');
    if (span_equal(key, name)) return span_trim((struct span){line.bytes, line.len - (line.len > 0)});
  }
  return (struct span){0};
}

static void reset_both(struct redis_pair *p, const char *why) {
  p->masters[PAIR_COMMANDS][0] = p->masters[PAIR_FEED][0] = '\0';
  redis_reset(p->redis, why);
  redis_feed_reset(p->feed, why);
}

static void take_info(struct redis_pair *p, int side, const redisReply *reply) {
  struct span text = reply ? redis_text(reply) : (struct span){0};
  struct span id = info_value(text, SPAN("master_replid"));
  if (!id.len || id.len >= sizeof p->masters[side]) return; // as an error: a call is told what is wrong
  snprintf(p->masters[side], sizeof p->masters[side], SPAN_FMT, SPAN_ARG(id));
  const char *commands = p->masters[PAIR_COMMANDS], *feed = p->masters[PAIR_FEED];
  if (!span_equal(info_value(text, SPAN("role")), SPAN("master"))) reset_both(p, "it is no master");
  else if (*commands && *feed && strcmp(commands, feed) != 0) reset_both(p, "two masters");
}

static void on_info(struct redis_command *c, struct redis_answer *a) {
  take_info(container_of(c, struct redis_pair, info), PAIR_COMMANDS, a->reply);
}

static void on_feed_info(struct redis_feed *f, const redisReply *reply, void *pair) {
  (void)f;
  take_info(pair, PAIR_FEED, reply);
}

static void on_loaded(struct redis_command *c, struct redis_answer *a) {
  (void)c;
  if (a->code == REDIS_CODE_OK || !a->message || strstr(a->message, "already exists")) return;
  if (a->reply) log_message(LOG_ERROR, "store: its functions cannot be loaded: %s", a->message);
}

bool redis_pair_ask(struct redis_pair *p, struct redis_command *c, struct span key, int argc,
                    const char *const *argv, const size_t *lens) {
  struct buf bytes = {0};
  if (p->redis) return redis_ask(p->redis, c, argc, argv, lens);
  redis_format(&bytes, argc, argv, lens);
  bool is_taken = redis_cluster_ask(p->cluster, c, key, buf_span(&bytes), 0);
  buf_deinit(&bytes);
  return is_taken;
}

bool redis_pair_subscribe(struct redis_pair *p, struct redis_subscription *s, enum redis_channel_kind kind,
                          struct span name) {
  return p->feed ? redis_subscribe(p->feed, s, kind, name)
                 : redis_cluster_subscribe(p->cluster, s, kind, name);
}

void redis_pair_load(struct redis_pair *p, struct span key) {
  const char *words[] = {"FUNCTION", "LOAD", p->library.bytes};
  if (!p->load.entry) redis_pair_ask(p, &p->load, key, 3, words, (const size_t[]){8, 4, p->library.len});
}

static const char *const info_words[] = {"INFO", "replication"};
static const size_t info_lens[] = {4, 11};

static void on_commands(struct redis *r, bool is_ready, void *owner) {
  struct redis_pair *p = owner;
  p->masters[PAIR_COMMANDS][0] = '\0';
  p->down_since = p->loop->now;
  if (!is_ready) return;
  if (!p->info.entry) redis_ask(r, &p->info, 2, info_words, info_lens);
  redis_pair_load(p, (struct span){0});
}

static void on_feed(struct redis_feed *f, bool is_ready, void *owner) {
  struct redis_pair *p = owner;
  p->masters[PAIR_FEED][0] = '\0';
  if (is_ready) redis_feed_ask(f, 2, info_words, info_lens, on_feed_info, p);
}

void redis_pair_tell(struct redis_pair *p) {
  bool is_ready, is_down;
  const char *why;
  if (p->cluster) {
    redis_reach_look(&p->reach);
    is_ready = p->reach.is_well, is_down = redis_reach_is_down(&p->reach), why = p->reach.why;
  } else {
    is_ready = redis_is_ready(p->redis), why = redis_link(p->redis)->why;
    is_down = !is_ready && p->loop->now > p->down_since + TELL_SECONDS;
  }
  if (is_down && !p->is_told)
    log_message(LOG_ERROR, "store: %s: nothing can be published to the channels that are kept there",
                why[0] ? why : "no connection yet");
  if (is_ready && p->is_told) log_message(LOG_INFO, "store: goes on");
  p->is_told = is_down || (p->is_told && !is_ready);
}

static void open_two(struct redis_pair *p, struct redis_home *home, const struct redis_address *address,
                     const struct redis_options *commands, const struct redis_feed_options *feed) {
  p->redis = redis_new(home, address, commands);
  p->feed = redis_feed_new(home, address, feed);
  if (address->kind == REDIS_SENTINEL) {
    p->sentinel = redis_sentinel_new(home, address);
    redis_set_locator(p->redis, redis_sentinel_locator(p->sentinel));
    redis_feed_set_locator(p->feed, redis_sentinel_locator(p->sentinel));
  }
  redis_on_state(p->redis, on_commands, p);
  redis_feed_on_state(p->feed, on_feed, p);
  redis_open(p->redis);
  redis_feed_open(p->feed);
}

void redis_pair_init(struct redis_pair *p, struct redis_home *home, const struct redis_address *address,
                     struct span library, double timeout) {
  struct redis_options commands = redis_usual;
  struct redis_feed_options feed = redis_feed_usual;
  commands.timeout = timeout, commands.wait = timeout < commands.wait ? timeout : commands.wait;
  commands.times.silence = feed.times.silence = timeout, commands.times.ping = timeout;
  commands.commands_max = COMMANDS_MAX;
  *p = (struct redis_pair){.loop = home->loop, .library = library, .down_since = home->loop->now};
  p->load.on_reply = on_loaded, p->info.on_reply = on_info;
  if (address->kind != REDIS_CLUSTER) {
    open_two(p, home, address, &commands, &feed);
    return;
  }
  p->cluster = redis_cluster_new(home, address, &commands, &feed);
  redis_reach_init(&p->reach, p->loop, p->cluster);
}

void redis_pair_deinit(struct redis_pair *p) {
  redis_leave(&p->load);
  redis_leave(&p->info);
  if (p->cluster) redis_reach_deinit(&p->reach), redis_cluster_free(p->cluster);
  if (p->feed) redis_feed_free(p->feed);
  if (p->redis) redis_free(p->redis);
  if (p->sentinel) redis_sentinel_free(p->sentinel);
}
