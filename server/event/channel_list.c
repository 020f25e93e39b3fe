// SPDX-License-Identifier: MIT
// The broker's lock is held for a share of its map at a time, and a channel's for a few numbers. Whatever is
// listed is referred to meanwhile, so that it may be taken out of the broker.
#include "event/channel_list.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/escape.h"
#include "base/lock.h"
#include "base/mem.h"
#include "event/broker.h"

enum { SHARE = 512 }; // buckets at a time

struct channel_row {
  struct channel *channel; // with a reference
  double key;
};

struct channel_search {
  const struct channel_query *query;
  struct channel_row *rows;
  size_t count, cap;
};

static bool is_wanted(const struct channel *c, const struct channel_query *q) {
  struct span name = c->node.name;
  if (q->name.len) return span_equal(name, q->name);
  return !q->text.len || memmem(name.bytes, name.len, q->text.bytes, q->text.len);
}

static double key_of(struct channel *c, enum channel_order order) {
  lock_take(&c->lock);
  const double keys[] = {[CHANNELS_BY_SUBSCRIBERS] = (double)(c->subscriber_count + c->catching_up),
                         [CHANNELS_BY_EVENTS] = (double)c->history.count,
                         [CHANNELS_BY_BYTES] = (double)c->history.bytes};
  lock_release(&c->lock);
  return keys[order];
}

static void look_at(struct map_node *node, void *arg) {
  struct channel_search *s = arg;
  struct channel *c = container_of(node, struct channel, node);
  if (!is_wanted(c, s->query)) return;
  if (s->count == s->cap) {
    s->cap = s->cap ? s->cap * 2 : 64;
    s->rows = xrealloc(s->rows, s->cap * sizeof *s->rows);
  }
  s->rows[s->count++] = (struct channel_row){channel_ref(c), key_of(c, s->query->order)};
}

static void look_at_all(struct broker *b, struct channel_search *s) {
  size_t bucket = 0;
  do {
    lock_take(&b->lock);
    bucket = map_each_of(&b->channels, bucket, SHARE, look_at, s);
    lock_release(&b->lock);
  } while (bucket);
}

static int compare_names(const struct channel_row *a, const struct channel_row *b) {
  return strcmp(a->channel->name, b->channel->name);
}

static int compare(const void *x, const void *y) {
  const struct channel_row *a = x, *b = y;
  int by_key = (a->key < b->key) - (a->key > b->key);
  return by_key ? by_key : compare_names(a, b);
}

static int compare_reversed(const void *x, const void *y) { return compare(y, x); }

static const char *state_name(const struct channel *c) {
  static const char *const names[] = {
      [CHANNEL_LOADING] = "loading", [CHANNEL_LIVE] = "live", [CHANNEL_FINISHED] = "finished"};
  return names[c->state];
}

static void write_options(struct buf *out, const struct channel_options *o, bool is_stored) {
  static const char *const policies[] = {[ON_FULL_DISCONNECT] = "disconnect",
                                         [ON_FULL_DROP_OLDEST] = "drop_oldest",
                                         [ON_FULL_CONFLATE] = "conflate"};
  buf_printf(out, ",\"history\":%zu,\"ttl\":%.3f,\"queue\":%zu,\"on_full\":\"%s\",\"is_stored\":%s}\n",
             o->history, o->ttl, o->queue, policies[o->on_full], is_stored ? "true" : "false");
}

static void write_row(struct buf *out, struct channel *c) {
  char id[POSITION_TEXT_MAX];
  lock_take(&c->lock);
  position_write(c->newest, id);
  buf_append_span(out, SPAN("{\"name\":\""));
  escape_quoted(out, c->node.name, true);
  buf_printf(out, "\",\"state\":\"%s\",\"subscribers\":%zu,\"elsewhere\":%zu,\"members\":%zu", state_name(c),
             c->subscriber_count + c->catching_up, atomic_load(&c->elsewhere), c->members.count);
  buf_printf(out, ",\"events\":%zu,\"bytes\":%zu,\"position\":\"%s\",\"seq\":%" PRIu64, c->history.count,
             c->history.bytes, id, c->newest.seq);
  write_options(out, &c->options, c->store != NULL);
  lock_release(&c->lock);
}

void channel_list(struct broker *b, const struct channel_query *q, struct buf *out) {
  struct channel_search s = {.query = q};
  look_at_all(b, &s);
  if (s.count) qsort(s.rows, s.count, sizeof *s.rows, q->is_reversed ? compare_reversed : compare);
  buf_printf(out, "%zu\n", s.count);
  for (size_t i = 0; i < s.count; i++) {
    if (i >= q->skipped && i - q->skipped < q->rows) write_row(out, s.rows[i].channel);
    channel_unref(s.rows[i].channel);
  }
  free(s.rows);
}
