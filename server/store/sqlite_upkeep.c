// SPDX-License-Identifier: MIT
// Each step is a transaction of its own, short enough for requests to wait behind it. What is too much of a
// channel is known when an event is appended; what is too old is looked for, channel by channel, a round a
// minute.
#include "store/sqlite_upkeep.h"
#include <math.h>
#include "event/broker.h"
#include "store/sqlite_values.h"

enum { FRAMES_PASSIVE = 1000, FRAMES_FORCED = 8192, CHANNELS_AT_ONCE = 16 };
static const double IDLE_SECONDS = 1, ROUND_SECONDS = 60, VALUES_SECONDS = 0.1;

static double now_of(const struct sqlite_store *s) { return clock_now(s->config.clock); }
static double wall_of(const struct sqlite_store *s) { return clock_wall(s->config.clock); }

static bool trim(struct sqlite_store *s, struct sqlite_channel *ch) {
  uint64_t n = 0;
  bool has_more = sqlite_channel_trim(&s->db, ch, wall_of(s), &n);
  atomic_fetch_add(&s->store.counters.trimmed_total, n);
  return has_more;
}

static bool trim_one(struct sqlite_store *s) {
  if (list_empty(&s->channels.over) || !sqlite_db_begin(&s->db)) return false;
  struct sqlite_channel *ch = container_of(s->channels.over.next, struct sqlite_channel, over);
  if (!trim(s, ch)) list_remove(&ch->over);
  sqlite_db_commit(&s->db);
  return true;
}

static bool is_open(struct broker *b, struct span name) {
  struct channel *c = broker_find(b, name);
  channel_unref(c);
  return c != NULL;
}

// A channel that nobody has and of which nothing is left is forgotten: should it come again, its ids are new.
static bool sweep_channel(struct sqlite_store *s, struct span name) {
  struct sqlite_channel *ch = sqlite_channels_get(&s->channels, &s->db, name, wall_of(s));
  if (!ch) return false;
  if (ch->limits.ttl > 0 && trim(s, ch)) return true;
  if (!sqlite_channel_is_empty(ch) || is_open(s->config.broker, name)) return false;
  sqlite_channel_bury(&s->db, ch->c);
  sqlite_channels_drop(&s->channels, ch);
  return false;
}

// Looks at the next channel; it stays the next one while there is more to do about it. False behind the last.
static bool sweep_next(struct sqlite_store *s) {
  char name[CHANNEL_NAME_MAX];
  sqlite_db_bind(&s->db, DB_CHANNEL_NEXT, "i", s->swept);
  if (!sqlite_db_row(&s->db, DB_CHANNEL_NEXT)) return false;
  int64_t c = sqlite_db_int(&s->db, DB_CHANNEL_NEXT, 0);
  bool is_removed = sqlite_db_is_null(&s->db, DB_CHANNEL_NEXT, 1);
  struct span text = sqlite_db_bytes(&s->db, DB_CHANNEL_NEXT, 1), copy = {name, MIN(text.len, sizeof name)};
  memcpy(name, text.bytes, copy.len);
  sqlite_db_end(&s->db, DB_CHANNEL_NEXT);
  bool has_more = is_removed ? sqlite_channel_bury(&s->db, c) : sweep_channel(s, copy);
  if (!has_more) s->swept = c;
  return true;
}

static bool sweep_some(struct sqlite_store *s) {
  bool has_next = true;
  if (now_of(s) < s->sweep_at || !sqlite_db_begin(&s->db)) return false;
  for (int i = 0; i < CHANNELS_AT_ONCE && has_next; i++) has_next = sweep_next(s);
  sqlite_db_commit(&s->db);
  if (!has_next) s->swept = 0, s->sweep_at = now_of(s) + ROUND_SECONDS;
  return has_next;
}

// Without requests it pays to do it earlier; without any for a while the log is made empty. One that fails is
// tried again later: the log goes on growing meanwhile.
static void checkpoint_some(struct sqlite_store *s, bool is_busy) {
  int frames = s->db.wal_frames;
  bool is_due = frames >= (is_busy ? FRAMES_FORCED : FRAMES_PASSIVE) || (frames && !is_busy);
  if (is_busy && frames < FRAMES_FORCED) s->checkpoint_at = now_of(s) + IDLE_SECONDS;
  bool waits = frames < FRAMES_PASSIVE || s->has_failed_checkpoint;
  if (!is_due || (waits && now_of(s) < s->checkpoint_at)) return;
  s->has_failed_checkpoint =
      !sqlite_db_checkpoint(&s->db, frames < FRAMES_PASSIVE || frames >= FRAMES_FORCED);
  s->checkpoint_at = now_of(s) + IDLE_SECONDS;
}

static bool keep_values(struct sqlite_store *s) {
  if (now_of(s) < s->values_at || !sqlite_values_keep(&s->db, s->config.shared, s->config.clock))
    return false;
  s->values_at = now_of(s) + VALUES_SECONDS;
  return true;
}

bool sqlite_upkeep(struct sqlite_store *s, bool is_busy) {
  bool has_trimmed = trim_one(s), has_kept = keep_values(s);
  checkpoint_some(s, is_busy);
  if (is_busy) return true;
  bool has_swept = sweep_some(s);
  return has_trimmed || has_kept || has_swept;
}

double sqlite_upkeep_wait(const struct sqlite_store *s) {
  double at = s->sweep_at;
  if (s->fault == FAULT_REPLACED) return INFINITY;
  if (s->fault != FAULT_NONE) return MAX(s->retry_at - now_of(s), 0.001);
  if (s->db.wal_frames) at = MIN(at, s->checkpoint_at);
  if (atomic_load(&s->config.shared->changed)) at = MIN(at, s->values_at);
  return MAX(at - now_of(s), 0.001);
}
