// SPDX-License-Identifier: MIT
// The newest number is that of the newest row, or `floor` where there is none. What is counted is counted
// once, with the first event that is appended; from then on it is kept up.
#include "store/sqlite_channel.h"
#include <stdlib.h>
#include "base/mem.h"
#include "event/event_text.h"

enum { SLICE = 1500, PAGE_BYTES = 256 << 10 };
static const uint64_t NUMBER_MAX = ((uint64_t)1 << NUMBER_BITS) - 1;
static const int64_t C_MAX = ((int64_t)1 << 28) - 1;

int64_t sqlite_channel_key(int64_t c, uint64_t number) {
  return c << NUMBER_BITS | (int64_t)MIN(number, NUMBER_MAX);
}

static uint64_t number_of(int64_t k) { return (uint64_t)k & NUMBER_MAX; }

static void bind_range(struct sqlite_db *db, enum sqlite_statement which, const struct sqlite_channel *ch,
                       uint64_t from, uint64_t to) {
  sqlite_db_bind(db, which, "ii", sqlite_channel_key(ch->c, from), sqlite_channel_key(ch->c, to));
}

static void push_epoch(struct sqlite_channel *ch, uint64_t first, uint64_t epoch) {
  ch->epochs = xrealloc(ch->epochs, (ch->epoch_count + 1) * sizeof *ch->epochs);
  ch->epochs[ch->epoch_count++] = (struct sqlite_epoch){first, epoch};
}

static uint64_t newest_epoch(const struct sqlite_channel *ch) {
  return ch->epochs[ch->epoch_count - 1].epoch;
}

struct position sqlite_channel_position(const struct sqlite_channel *ch, uint64_t number) {
  size_t i = ch->epoch_count - 1;
  while (i && ch->epochs[i].first > number) i--;
  return (struct position){ch->epochs[i].epoch, number};
}

struct position sqlite_channel_newest(const struct sqlite_channel *ch) {
  return sqlite_channel_position(ch, ch->newest);
}

static void load_row(struct sqlite_db *db, struct sqlite_channel *ch) {
  ch->c = sqlite_db_int(db, DB_CHANNEL_FIND, 0);
  ch->newest = (uint64_t)sqlite_db_int(db, DB_CHANNEL_FIND, 1);
  ch->is_finished = sqlite_db_int(db, DB_CHANNEL_FIND, 2);
  ch->limits = (struct sqlite_limits){(uint64_t)sqlite_db_int(db, DB_CHANNEL_FIND, 3),
                                      (uint64_t)sqlite_db_int(db, DB_CHANNEL_FIND, 4),
                                      sqlite_db_double(db, DB_CHANNEL_FIND, 5)};
  sqlite_db_end(db, DB_CHANNEL_FIND);
}

// min or max of its keys; `otherwise` where there is no event.
static uint64_t number_by(struct sqlite_db *db, const struct sqlite_channel *ch, enum sqlite_statement which,
                          uint64_t otherwise) {
  uint64_t number = otherwise;
  bind_range(db, which, ch, 0, NUMBER_MAX);
  if (sqlite_db_row(db, which)) {
    if (!sqlite_db_is_null(db, which, 0)) number = number_of(sqlite_db_int(db, which, 0));
    sqlite_db_end(db, which);
  }
  return number;
}

static void load_events(struct sqlite_db *db, struct sqlite_channel *ch) {
  sqlite_db_bind(db, DB_EPOCHS, "i", ch->c);
  while (sqlite_db_row(db, DB_EPOCHS))
    push_epoch(ch, (uint64_t)sqlite_db_int(db, DB_EPOCHS, 0), (uint64_t)sqlite_db_int(db, DB_EPOCHS, 1));
  ch->newest = number_by(db, ch, DB_EVENT_LAST, ch->newest);
  ch->oldest = number_by(db, ch, DB_EVENT_FIRST, ch->newest + 1);
}

struct sqlite_channel *sqlite_channel_load(struct sqlite_db *db, struct span name, double wall) {
  struct sqlite_channel *ch = xcalloc(1, sizeof *ch + name.len + 1);
  memcpy(ch->name, name.bytes, name.len);
  ch->node.name = (struct span){ch->name, name.len};
  list_init(&ch->used);
  list_init(&ch->over);
  ch->oldest = 1;
  sqlite_db_bind(db, DB_CHANNEL_FIND, "t", name);
  if (sqlite_db_row(db, DB_CHANNEL_FIND)) {
    load_row(db, ch);
    load_events(db, ch);
  }
  if (db->rc) {
    sqlite_channel_free(ch);
    return NULL;
  }
  if (!ch->epoch_count) push_epoch(ch, ch->newest + 1, sqlite_db_next_epoch(db, wall));
  ch->is_epoch_over = newest_epoch(ch) < db->epoch_least;
  return ch;
}

void sqlite_channel_free(struct sqlite_channel *ch) {
  free(ch->epochs);
  free(ch);
}

void sqlite_channel_adopt(struct sqlite_db *db, struct sqlite_channel *ch, struct position p) {
  if (!ch->c) ch->epochs[0] = (struct sqlite_epoch){p.seq, p.epoch};
  else if (p.seq > ch->newest && p.epoch > newest_epoch(ch)) push_epoch(ch, p.seq, p.epoch);
  if (ch->oldest > ch->newest) ch->oldest = MAX(p.seq, ch->newest) + 1;
  ch->newest = MAX(p.seq, ch->newest);
  ch->is_epoch_over = ch->c || p.epoch < db->epoch_least;
  db->epoch_last = MAX(db->epoch_last, p.epoch);
}

static void keep_epoch(struct sqlite_db *db, const struct sqlite_channel *ch, const struct sqlite_epoch *e) {
  sqlite_db_bind(db, DB_EPOCH_ADD, "iii", ch->c, (int64_t)e->first, (int64_t)e->epoch);
  sqlite_db_run(db, DB_EPOCH_ADD);
}

static void keep_epochs(struct sqlite_db *db, const struct sqlite_channel *ch) {
  for (size_t i = 0; i < ch->epoch_count; i++) keep_epoch(db, ch, &ch->epochs[i]);
  sqlite_db_keep_epoch(db);
}

static void add_row(struct sqlite_db *db, struct sqlite_channel *ch) {
  int64_t floor = (int64_t)ch->newest;
  sqlite_db_bind(db, DB_CHANNEL_ADD, "tiiid", ch->node.name, floor, (int64_t)ch->limits.events,
                 (int64_t)ch->limits.bytes, ch->limits.ttl);
  sqlite_db_run(db, DB_CHANNEL_ADD);
  sqlite_db_bind(db, DB_CHANNEL_FIND, "t", ch->node.name);
  if (!sqlite_db_row(db, DB_CHANNEL_FIND)) return;
  ch->c = sqlite_db_int(db, DB_CHANNEL_FIND, 0);
  sqlite_db_end(db, DB_CHANNEL_FIND);
  if (ch->c > C_MAX) db->rc = SQLITE_DB_FULL;
  ch->is_counted = true;
}

static void count_events(struct sqlite_db *db, struct sqlite_channel *ch) {
  bind_range(db, DB_EVENTS_COUNT, ch, 0, NUMBER_MAX);
  if (!sqlite_db_row(db, DB_EVENTS_COUNT)) return;
  ch->count = sqlite_db_int(db, DB_EVENTS_COUNT, 0), ch->bytes = sqlite_db_int(db, DB_EVENTS_COUNT, 1);
  sqlite_db_end(db, DB_EVENTS_COUNT);
  ch->is_counted = true;
}

// Has a row, an epoch and a count for an event.
static bool prepare_append(struct sqlite_db *db, struct sqlite_channel *ch, double wall) {
  bool is_new = !ch->c;
  if (is_new) add_row(db, ch);
  if (ch->is_epoch_over) push_epoch(ch, ch->newest + 1, sqlite_db_next_epoch(db, wall));
  if (is_new || ch->is_epoch_over) keep_epochs(db, ch);
  ch->is_epoch_over = false;
  if (!ch->is_counted) count_events(db, ch);
  if (ch->newest == NUMBER_MAX) db->rc = SQLITE_DB_FULL;
  return !db->rc;
}

// What conflates unless a key was given.
static uint64_t key_by_name(struct span name) { return hash_bytes(name.bytes ? name : SPAN(""), 0); }

static struct span event_name(struct span text) {
  struct event_text_reader reader = {text};
  struct span name, value;
  while (event_text_next(&reader, &name, &value))
    if (span_equal(name, SPAN("event"))) return value;
  return SPAN("");
}

static bool insert(struct sqlite_db *db, struct sqlite_channel *ch, const struct event *e, bool has_key,
                   double at) {
  struct span bytes = event_text(e);
  sqlite_db_bind(db, DB_EVENT_ADD, has_key ? "iiib" : "iinb", sqlite_channel_key(ch->c, e->seq),
                 (int64_t)(at * 1e3), (int64_t)e->key, bytes);
  if (!sqlite_db_run(db, DB_EVENT_ADD)) return false;
  if (ch->oldest > ch->newest) ch->oldest = e->seq;
  ch->newest = e->seq, ch->count++, ch->bytes += (int64_t)bytes.len;
  db->appended_total++;
  return true;
}

struct event *sqlite_channel_append(struct sqlite_db *db, struct sqlite_channel *ch,
                                    const struct sse_fields *fields, uint64_t key, double wall) {
  char id[CHANNEL_ID_MAX];
  if (!prepare_append(db, ch, wall)) return NULL;
  struct event *e = channel_event(fields, key, sqlite_channel_position(ch, ch->newest + 1), id);
  if (insert(db, ch, e, key != key_by_name(fields->event), wall)) return e;
  event_unref(e);
  return NULL;
}

bool sqlite_channel_put(struct sqlite_db *db, struct sqlite_channel *ch, struct event *e, double at) {
  if (!ch->c) {
    ch->newest = e->seq - 1;
    ch->epochs[0] = (struct sqlite_epoch){e->seq, e->epoch};
    add_row(db, ch);
    keep_epochs(db, ch);
  } else if (e->epoch > newest_epoch(ch)) {
    push_epoch(ch, e->seq, e->epoch);
    keep_epochs(db, ch);
  }
  db->epoch_last = MAX(db->epoch_last, e->epoch);
  return insert(db, ch, e, e->key != key_by_name(event_name(event_text(e))), at);
}

void sqlite_channel_limit(struct sqlite_db *db, struct sqlite_channel *ch,
                          const struct sqlite_limits *limits) {
  bool is_same = ch->limits.events == limits->events && ch->limits.bytes == limits->bytes &&
                 ch->limits.ttl == limits->ttl;
  ch->limits = *limits;
  if (is_same || !ch->c) return;
  sqlite_db_bind(db, DB_CHANNEL_LIMITS, "iidi", (int64_t)limits->events, (int64_t)limits->bytes, limits->ttl,
                 ch->c);
  sqlite_db_run(db, DB_CHANNEL_LIMITS);
}

void sqlite_channel_finish(struct sqlite_db *db, struct sqlite_channel *ch) {
  if (!ch->c && !prepare_append(db, ch, 0)) return;
  sqlite_db_bind(db, DB_CHANNEL_FINISH, "i", ch->c);
  if (sqlite_db_run(db, DB_CHANNEL_FINISH)) ch->is_finished = true;
}

void sqlite_channel_remove(struct sqlite_db *db, struct sqlite_channel *ch) {
  if (!ch->c) return;
  sqlite_db_bind(db, DB_CHANNEL_REMOVE, "i", ch->c);
  sqlite_db_run(db, DB_CHANNEL_REMOVE);
}

// Where a page begins. True where something behind the asker's position is not there.
static bool page_begin(const struct sqlite_channel *ch, const struct store_request *r, uint64_t *from) {
  struct position known = sqlite_channel_position(ch, r->at.seq);
  uint64_t max = r->channel->options.history, wanted = r->last < 0 ? max : MIN((uint64_t)r->last, max);
  *from = ch->oldest;
  if (r->last) {
    if (wanted <= ch->newest) *from = MAX(ch->oldest, ch->newest + 1 - wanted);
    return false;
  }
  bool is_gone = !position_equals(known, r->at) || r->at.seq + 1 < ch->oldest || r->at.seq > ch->newest;
  if (!is_gone) *from = r->at.seq + 1;
  return is_gone;
}

static struct event *event_of_row(struct sqlite_db *db, const struct sqlite_channel *ch, uint64_t number) {
  struct span text = sqlite_db_bytes(db, DB_EVENTS, 2);
  char *bare;
  struct event *e = event_new_framed(text.len, &bare);
  memcpy(bare, text.bytes, text.len);
  struct position at = sqlite_channel_position(ch, number);
  e->epoch = at.epoch, e->seq = at.seq;
  e->key = sqlite_db_is_null(db, DB_EVENTS, 1) ? key_by_name(event_name(event_text(e)))
                                               : (uint64_t)sqlite_db_int(db, DB_EVENTS, 1);
  return e;
}

// Up to a gap, or until the page is full. A gap at its beginning is told of: what was there is lost.
static void read_rows(struct sqlite_db *db, const struct sqlite_channel *ch, uint64_t from,
                      struct store_request *r) {
  size_t bytes = 0;
  bind_range(db, DB_EVENTS, ch, from, NUMBER_MAX);
  while (r->count < STORE_PAGE_MAX && bytes < PAGE_BYTES && sqlite_db_row(db, DB_EVENTS)) {
    uint64_t number = number_of(sqlite_db_int(db, DB_EVENTS, 0));
    bool has_gap = number != from + r->count;
    if (has_gap && r->count) break;
    if (has_gap && !r->last) r->is_gone = true;
    if (has_gap) from = number;
    bytes += (r->events[r->count] = event_of_row(db, ch, number))->len;
    r->count++;
  }
  sqlite_db_end(db, DB_EVENTS);
  r->at = r->count ? event_position(r->events[r->count - 1]) : sqlite_channel_newest(ch);
}

void sqlite_channel_read(struct sqlite_db *db, const struct sqlite_channel *ch, struct store_request *r) {
  uint64_t from;
  r->is_gone = page_begin(ch, r, &from);
  r->events = xmalloc(STORE_PAGE_MAX * sizeof *r->events);
  read_rows(db, ch, from, r);
}

static bool is_above(uint64_t value, uint64_t limit) { return limit && value > limit + limit / 8; }

bool sqlite_channel_is_over(const struct sqlite_channel *ch) {
  return ch->is_counted && (is_above((uint64_t)ch->count, ch->limits.events) ||
                            is_above((uint64_t)ch->bytes, ch->limits.bytes));
}

struct walk {
  uint64_t rows, last, count, bytes; // looked at; of those that go: the last number, how many, their bytes
};

// The oldest events that are too many, too large together, or too old. One that is behind an old one is old
// as well, whatever the clock said when it came.
static struct walk walk_old(struct sqlite_db *db, const struct sqlite_channel *ch, double wall) {
  const struct sqlite_limits *l = &ch->limits;
  struct walk w = {0};
  uint64_t bytes = 0;
  int64_t now = (int64_t)(wall * 1e3), old = (int64_t)((wall - l->ttl) * 1e3);
  bind_range(db, DB_EVENTS_WALK, ch, 0, NUMBER_MAX);
  while (w.rows < SLICE && sqlite_db_row(db, DB_EVENTS_WALK)) {
    int64_t at = sqlite_db_int(db, DB_EVENTS_WALK, 1);
    bool is_much = (l->events && (uint64_t)ch->count > l->events + w.rows) ||
                   (l->bytes && (uint64_t)ch->bytes > l->bytes + bytes);
    bool is_old = l->ttl > 0 && at<old, is_odd = l->ttl> 0 && at > now;
    if (!ch->c || (!is_much && !is_old && !is_odd)) break;
    w.rows++, bytes += (uint64_t)sqlite_db_int(db, DB_EVENTS_WALK, 2);
    if (!is_much && !is_old) continue;
    w.last = number_of(sqlite_db_int(db, DB_EVENTS_WALK, 0)), w.count = w.rows, w.bytes = bytes;
  }
  sqlite_db_end(db, DB_EVENTS_WALK);
  return w;
}

// Epochs of which no event is left, but for that of the one before the oldest.
static void forget_epochs(struct sqlite_db *db, struct sqlite_channel *ch) {
  size_t n = 0;
  while (n + 1 < ch->epoch_count && ch->epochs[n + 1].first < ch->oldest) n++;
  if (!n) return;
  sqlite_db_bind(db, DB_EPOCHS_DELETE, "ii", ch->c, (int64_t)ch->epochs[n].first);
  sqlite_db_run(db, DB_EPOCHS_DELETE);
  ch->epoch_count -= n;
  memmove(ch->epochs, ch->epochs + n, ch->epoch_count * sizeof *ch->epochs);
}

bool sqlite_channel_trim(struct sqlite_db *db, struct sqlite_channel *ch, double wall, uint64_t *trimmed) {
  if (!ch->c) return false;
  if (!ch->is_counted) count_events(db, ch);
  struct walk w = walk_old(db, ch, wall);
  if (!w.count || db->rc) return false;
  bind_range(db, DB_EVENTS_DELETE, ch, 0, w.last);
  sqlite_db_run(db, DB_EVENTS_DELETE);
  ch->count -= (int64_t)w.count, ch->bytes -= (int64_t)w.bytes;
  ch->oldest = number_by(db, ch, DB_EVENT_FIRST, ch->newest + 1);
  forget_epochs(db, ch);
  if (ch->oldest > ch->newest) {
    sqlite_db_bind(db, DB_CHANNEL_FLOOR, "ii", (int64_t)ch->newest, ch->c);
    sqlite_db_run(db, DB_CHANNEL_FLOOR);
  }
  *trimmed += w.count;
  return w.rows == SLICE;
}

bool sqlite_channel_is_empty(const struct sqlite_channel *ch) { return ch->oldest > ch->newest; }

bool sqlite_channel_bury(struct sqlite_db *db, int64_t c) {
  int64_t last = 0;
  int rows = 0;
  sqlite_db_bind(db, DB_EVENTS_WALK, "ii", sqlite_channel_key(c, 0), sqlite_channel_key(c, NUMBER_MAX));
  for (; rows < SLICE && sqlite_db_row(db, DB_EVENTS_WALK); rows++)
    last = sqlite_db_int(db, DB_EVENTS_WALK, 0);
  sqlite_db_end(db, DB_EVENTS_WALK);
  sqlite_db_bind(db, DB_EVENTS_DELETE, "ii", sqlite_channel_key(c, 0), last);
  if (rows) sqlite_db_run(db, DB_EVENTS_DELETE);
  if (rows == SLICE) return true;
  sqlite_db_bind(db, DB_EPOCHS_DELETE, "ii", c, INT64_MAX);
  sqlite_db_run(db, DB_EPOCHS_DELETE);
  sqlite_db_bind(db, DB_CHANNEL_DELETE, "i", c);
  sqlite_db_run(db, DB_CHANNEL_DELETE);
  return false;
}
