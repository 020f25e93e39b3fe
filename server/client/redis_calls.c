// SPDX-License-Identifier: MIT
// A call is put together word by word in one buffer, of which the words are parts once it is complete.
#include "client/redis_calls.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/map.h"
#include "base/mem.h"
#include "base/words.h"

enum { KEPT_MIN = 256 }; // events, so that a node that was cut off for a moment finds what it has missed

static void add_number(struct words *w, unsigned long long n) {
  buf_printf(&w->bytes, "%llu", n);
  words_end(w);
}

static void add_keys(struct words *w, const struct redis_calls *r, const struct channel *ch, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    record_key(&w->bytes, r->prefix, ch->node.name, (enum redis_key)i);
    words_end(w);
  }
}

// FCALL function
static void begin_step(struct words *w, const struct redis_calls *r, const char *step) {
  words_add(w, SPAN("FCALL"));
  buf_printf(&w->bytes, "%s_%s", r->functions, step);
  words_end(w);
}

// FCALL function keys...
static void begin(struct words *w, const struct redis_calls *r, const char *step, const struct channel *ch,
                  unsigned keys) {
  begin_step(w, r, step);
  add_number(w, keys);
  add_keys(w, r, ch, keys);
}

// How many events are kept there at least, and for how many milliseconds.
static void add_limits(struct words *w, const struct channel *ch) {
  add_number(w, ch->options.history > KEPT_MIN ? ch->options.history : KEPT_MIN);
  add_number(w, (unsigned long long)(ch->options.ttl * 1000));
}

static void add_lease(struct words *w, const struct redis_calls *r) {
  add_number(w, (unsigned long long)(r->lease * 1000));
}

// Sends it to who has the key, and lets go of the words.
static bool send_words(struct words *w, struct redis_calls *r, struct redis_command *c, struct span key) {
  const char **argv = xmalloc(w->count * sizeof *argv);
  size_t *lens = xmalloc(w->count * sizeof *lens);
  for (size_t i = 0; i < w->count; i++) argv[i] = words_at(w, i).bytes, lens[i] = words_at(w, i).len;
  bool is_taken = redis_pair_ask(r->pair, c, key, (int)w->count, argv, lens);
  free(argv);
  free(lens);
  words_deinit(w);
  return is_taken;
}

static bool send(struct words *w, struct redis_calls *r, struct redis_command *c, const struct channel *ch) {
  struct buf key = {0};
  record_key(&key, r->prefix, ch->node.name, REDIS_KEY_STREAM);
  bool is_taken = send_words(w, r, c, buf_span(&key));
  buf_deinit(&key);
  return is_taken;
}

bool call_step(struct redis_calls *r, struct redis_command *c, const char *step, const struct words *given) {
  struct words w = {0};
  struct buf key = {0};
  begin_step(&w, r, step);
  add_number(&w, 2);
  for (enum redis_key k = REDIS_KEY_VALUES; k <= REDIS_KEY_ENDS; k++) {
    record_key(&w.bytes, r->prefix, words_at(given, 0), k);
    words_end(&w);
  }
  for (size_t i = 1; i < given->count; i++) words_add(&w, words_at(given, i));
  record_key(&key, r->prefix, words_at(given, 0), REDIS_KEY_VALUES);
  bool is_taken = send_words(&w, r, c, buf_span(&key));
  buf_deinit(&key);
  return is_taken;
}

bool call_append(struct redis_calls *r, struct redis_command *c, const struct channel *ch, struct span bytes,
                 bool ends) {
  struct words w = {0};
  begin(&w, r, ends ? "finish" : "append", ch, 2);
  add_limits(&w, ch);
  words_add(&w, bytes);
  return send(&w, r, c, ch);
}

bool call_read(struct redis_calls *r, struct redis_command *c, const struct channel *ch,
               struct position from) {
  struct words w = {0};
  char id[POSITION_TEXT_MAX];
  begin(&w, r, "read", ch, 1);
  if (from.epoch) words_add(&w, (struct span){id, record_id(from, id)});
  else words_add(&w, SPAN("-"));
  add_number(&w, CALL_PAGE + 1);
  return send(&w, r, c, ch);
}

bool call_tail(struct redis_calls *r, struct redis_command *c, const struct channel *ch, long last) {
  struct words w = {0};
  begin(&w, r, "tail", ch, 1);
  add_number(&w, (unsigned long long)last);
  add_number(&w, CALL_PAGE);
  return send(&w, r, c, ch);
}

bool call_look(struct redis_calls *r, struct redis_command *c, const struct channel *ch, size_t subscribers) {
  struct words w = {0};
  begin(&w, r, "look", ch, 5);
  add_limits(&w, ch);
  words_add(&w, r->node);
  add_number(&w, subscribers);
  add_lease(&w, r);
  return send(&w, r, c, ch);
}

static void begin_join(struct words *w, const struct redis_calls *r, const struct channel *ch) {
  begin(w, r, "join", ch, 4);
  add_limits(w, ch);
  words_add(w, r->node);
  add_lease(w, r);
}

static void add_member(struct words *w, struct span event, struct span id, struct span meta) {
  record_member(&w->bytes, event, id, meta);
  words_end(w);
}

bool call_join(struct redis_calls *r, struct redis_command *c, const struct channel *ch, struct span id,
               struct span meta, struct span came) {
  struct words w = {0};
  begin_join(&w, r, ch);
  words_add(&w, id);
  words_add(&w, meta);
  words_add(&w, came);
  add_member(&w, SPAN("leave"), id, (struct span){0});
  return send(&w, r, c, ch);
}

bool call_renew(struct redis_calls *r, struct redis_command *c, const struct channel *ch,
                struct span members) {
  struct words w = {0};
  begin_join(&w, r, ch);
  for (struct span rest = members; rest.len;) {
    struct span id = span_split(&rest, '\0'), meta = span_split(&rest, '\0');
    words_add(&w, id);
    words_add(&w, meta);
    add_member(&w, SPAN("join"), id, meta);
    add_member(&w, SPAN("leave"), id, (struct span){0});
  }
  return send(&w, r, c, ch);
}

bool call_leave(struct redis_calls *r, struct redis_command *c, const struct channel *ch, struct span id) {
  struct words w = {0};
  begin(&w, r, "leave", ch, 4);
  add_limits(&w, ch);
  words_add(&w, r->node);
  words_add(&w, id);
  return send(&w, r, c, ch);
}

bool call_members(struct redis_calls *r, struct redis_command *c, const struct channel *ch) {
  struct words w = {0};
  begin(&w, r, "members", ch, 4);
  add_limits(&w, ch);
  return send(&w, r, c, ch);
}

bool call_remove(struct redis_calls *r, struct redis_command *c, const struct channel *ch) {
  struct words w = {0};
  words_add(&w, SPAN("UNLINK"));
  add_keys(&w, r, ch, 5);
  return send(&w, r, c, ch);
}

char *call_library(struct span text, char functions[CALL_FUNCTIONS_MAX]) {
  static const char place[] = "VERSION";
  struct buf b = {0};
  char hash[17];
  snprintf(hash, sizeof hash, "%016llx", (unsigned long long)hash_bytes(text, 0));
  snprintf(functions, CALL_FUNCTIONS_MAX, "spate_%s", hash);
  for (struct span rest = text; rest.len;) {
    const char *at = memmem(rest.bytes, rest.len, place, sizeof place - 1);
    size_t before = at ? (size_t)(at - rest.bytes) : rest.len, skipped = before + (at ? sizeof place - 1 : 0);
    buf_append(&b, rest.bytes, before);
    if (at) buf_append(&b, hash, sizeof hash - 1);
    rest.bytes += skipped, rest.len -= skipped;
  }
  buf_append_byte(&b, '\0');
  return b.bytes;
}

void call_load(struct redis_calls *r, struct span name) {
  struct buf key = {0};
  record_key(&key, r->prefix, name, REDIS_KEY_STREAM);
  redis_pair_load(r->pair, buf_span(&key));
  buf_deinit(&key);
}
