// SPDX-License-Identifier: MIT
// A transaction is what waits when it begins, bounded in number and time. In it events are numbered;
// subscribers get them, and whoever asked is answered, once it is committed; where the store is asynchronous,
// before. A failure is the whole transaction's, and everything that is known of the file is read anew.
#include "store/sqlite_store.h"
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "store/sqlite_upkeep.h"
#include "store/sqlite_values.h"

enum { BATCH_MAX = 512, CHANNELS_MAX = 100000, FRAME_BYTES = 4120, PATIENCE_NS = 10000000 };
static const double BATCH_SECONDS = 0.005, RETRY_SECONDS = 1, QUEUE_SECONDS = 5;

static struct store_request *request_of(struct list *node) {
  return container_of(node, struct store_request, job.done.link);
}

static double now_of(const struct sqlite_store *s) { return clock_now(s->config.clock); }
static double wall_of(const struct sqlite_store *s) { return clock_wall(s->config.clock); }

static void take(struct store *base, struct store_request *r) {
  struct sqlite_store *s = container_of(base, struct sqlite_store, store);
  r->taken_at = now_of(s);
  atomic_fetch_add(&base->counters.waiting, 1);
  if (sqlite_queue_put(&s->queue, r)) return;
  atomic_fetch_sub(&base->counters.waiting, 1);
  store_unavailable(r, "busy");
}

static void flush(struct store *base) {
  sqlite_queue_flush(&container_of(base, struct sqlite_store, store)->queue);
}

static void on_change(struct shared_keeper *k) {
  sqlite_queue_poke(&container_of(k, struct sqlite_store, keeper)->queue);
}

static const struct store_ops ops = {.take = take, .flush = flush};

static void drop_events(struct store_request *r) {
  for (size_t i = 0; i < r->count; i++) event_unref(r->events[i]);
  free(r->events);
  r->events = NULL, r->count = 0;
}

// An answer has left: the request is not to be touched any more.
static void note_answers(struct sqlite_store *s, size_t count) {
  atomic_fetch_sub(&s->store.counters.waiting, count);
  sqlite_queue_answer(&s->queue, count);
}

static size_t refuse_all(struct list *requests, const char *why) {
  size_t n = 0;
  for (struct list *node; (node = list_shift(requests)); n++) {
    drop_events(request_of(node));
    store_unavailable(request_of(node), why);
  }
  return n;
}

// The channel and its subscribers get what was appended. Nobody else admits.
static void let_out(struct sqlite_store *s, struct store_request *r) {
  struct channel *c = r->channel;
  bool is_write = r->what == STORE_APPEND || r->what == STORE_FINISH;
  if (is_write && r->count) channel_admit(c, r->events[0], channel_newest(c), now_of(s));
  if (r->what == STORE_FINISH && r->answer == STORE_OK) channel_finish(c, NULL, now_of(s));
}

static void answer(struct sqlite_store *s, struct store_request *r) {
  let_out(s, r);
  if (r->what != STORE_READ) drop_events(r);
  store_answer(r, r->answer);
}

// What the file has and the channel has not: what was committed where that seemed to fail.
static void catch_up(struct sqlite_store *s, struct sqlite_channel *ch, struct channel *c) {
  struct position newest = sqlite_channel_newest(ch);
  for (bool is_behind = true; is_behind && !s->db.rc;) {
    struct store_request page = {.channel = c, .at = channel_newest(c)};
    sqlite_channel_read(&s->db, ch, &page);
    for (size_t i = 0; i < page.count && !page.is_gone; i++)
      channel_admit(c, page.events[i], channel_newest(c), now_of(s));
    if (page.is_gone) channel_break(c, newest);
    is_behind = page.count && !page.is_gone && !position_equals(page.at, newest);
    drop_events(&page);
  }
}

// The channel in memory and what the file has of it are where they were together last, or are brought there.
static void meet(struct sqlite_store *s, struct sqlite_channel *ch, struct channel *c) {
  bool is_loading = channel_is_loading(c);
  if (ch->met == c && !is_loading) return;
  const struct channel_options *o = &c->options;
  sqlite_channel_limit(&s->db, ch, &(struct sqlite_limits){o->history, o->history_bytes, o->ttl});
  if (is_loading) {
    channel_loaded(c, sqlite_channel_newest(ch));
    if (ch->is_finished) channel_finish(c, NULL, now_of(s));
  }
  struct position has = channel_newest(c), kept = sqlite_channel_newest(ch);
  if (!position_equals(has, kept)) {
    if (!ch->c || position_is_after(has, kept)) sqlite_channel_adopt(&s->db, ch, has);
    else catch_up(s, ch, c);
  }
  ch->met = c;
}

static enum store_answer append(struct sqlite_store *s, struct sqlite_channel *ch, struct store_request *r) {
  if (ch->is_finished || channel_is_finished(r->channel)) return STORE_ENDED;
  if (r->has_event) {
    struct event *e = sqlite_channel_append(&s->db, ch, &r->fields, r->key, wall_of(s));
    if (!e) return STORE_UNAVAILABLE;
    r->events = xmalloc(sizeof *r->events);
    r->events[0] = e, r->count = 1;
  }
  r->at = sqlite_channel_newest(ch);
  if (r->what == STORE_FINISH) sqlite_channel_finish(&s->db, ch);
  if (sqlite_channel_is_over(ch) && list_empty(&ch->over)) list_append(&s->channels.over, &ch->over);
  return STORE_OK;
}

// Many come back at once, with the same ids.
static bool has_page(struct sqlite_store *s, struct store_request *r) {
  for (size_t i = 0; i < s->page_count; i++) {
    const struct store_request *other = s->pages[i].request;
    if (other->channel != r->channel || other->last != r->last || !position_equals(s->pages[i].at, r->at))
      continue;
    r->events = xmalloc((other->count + 1) * sizeof *r->events);
    for (size_t k = 0; k < other->count; k++) r->events[k] = event_ref(other->events[k]);
    r->count = other->count, r->is_gone = other->is_gone, r->at = other->at;
    return true;
  }
  return false;
}

static void read_page(struct sqlite_store *s, struct sqlite_channel *ch, struct store_request *r) {
  if (has_page(s, r)) return;
  struct position at = r->at;
  sqlite_channel_read(&s->db, ch, r);
  s->pages[s->page_count++ % STORE_SHARED_PAGES] = (struct shared_page){at, r};
  s->page_count = MIN(s->page_count, (size_t)STORE_SHARED_PAGES);
}

static void carry_out(struct sqlite_store *s, struct store_request *r) {
  struct sqlite_channel *ch = sqlite_channels_get(&s->channels, &s->db, r->channel->node.name, wall_of(s));
  r->answer = STORE_OK;
  if (!ch || s->db.rc) return;
  meet(s, ch, r->channel);
  switch (r->what) {
  case STORE_OPEN: break;
  case STORE_APPEND:
  case STORE_FINISH: r->answer = append(s, ch, r); break;
  case STORE_READ: read_page(s, ch, r); break;
  case STORE_REMOVE:
    sqlite_channel_remove(&s->db, ch);
    sqlite_channels_drop(&s->channels, ch);
    break;
  case STORE_MEMBERS: break; // it is not shared
  }
}

// Whether it is answered before the transaction is committed. Pages are not: what they hold is another's.
static bool is_early(const struct sqlite_store *s, const struct store_request *r) {
  return s->config.is_async && !s->db.rc && r->what != STORE_READ;
}

// What has waited too long was given up by whoever asked.
static void carry_out_some(struct sqlite_store *s, struct list *batch, size_t *count) {
  double until = now_of(s) + BATCH_SECONDS;
  for (struct list *node; now_of(s) <= until && (node = list_shift(batch)); --*count) {
    struct store_request *r = request_of(node);
    bool is_late = now_of(s) > r->taken_at + QUEUE_SECONDS;
    if (!is_late) carry_out(s, r);
    if (!is_late && !is_early(s, r)) {
      list_append(&s->done, node);
      continue;
    }
    if (is_late) store_unavailable(r, "slow");
    else answer(s, r);
    note_answers(s, 1);
  }
}

static void count_kept(struct sqlite_store *s, unsigned long events) {
  struct stat st;
  if (!events) return;
  off_t size = stat(s->config.path, &st) == 0 ? st.st_size : 0;
  atomic_fetch_add(&s->store.counters.kept_total, events);
  atomic_fetch_add(&s->store.counters.commits_total, 1);
  atomic_store(&s->store.counters.bytes, (unsigned long)size + (unsigned long)s->db.wal_frames * FRAME_BYTES);
}

static void recover(struct sqlite_store *s) {
  if (s->fault != FAULT_NONE) log_message(LOG_INFO, "store %s: goes on", s->config.path);
  s->fault = FAULT_NONE, s->is_to_renew = false;
}

static void succeed(struct sqlite_store *s) {
  size_t n = 0;
  for (struct list *node; (node = list_shift(&s->done)); n++) answer(s, request_of(node));
  if (n) note_answers(s, n);
  recover(s);
}

static void tell(struct sqlite_store *s, enum sqlite_fault fault, const char *why) {
  atomic_fetch_add(&s->store.counters.failed_total, 1);
  atomic_store(&s->store.counters.is_down, fault == FAULT_REPLACED);
  if (s->fault != fault)
    log_message(LOG_ERROR, "store %s: %s (%s): nothing can be published to the channels that it keeps",
                s->config.path, why, sqlite_fault_word(fault));
  s->fault = fault;
}

static void load_values(struct sqlite_store *s) {
  if (!s->db.handle || s->has_values) return;
  size_t lost = sqlite_values_load(&s->db, s->config.shared, s->config.clock);
  s->has_values = !s->db.rc;
  if (lost)
    log_message(LOG_ERROR, "store %s: %zu values of shared dictionaries have no room within limits.shared",
                s->config.path, lost);
}

static void open_anew(struct sqlite_store *s, bool is_renewed) {
  char *why;
  struct sqlite_run run = {.is_async = s->config.is_async, .is_renewed = is_renewed, .wall = wall_of(s)};
  enum sqlite_fault fault = sqlite_db_open(&s->db, s->config.path, &run, &why);
  if (fault == FAULT_NONE && is_renewed && !sqlite_db_checkpoint(&s->db, true)) {
    fault = FAULT_FAILED, why = xstrdup("what is committed cannot be written");
    sqlite_db_close(&s->db, false);
  }
  if (fault != FAULT_NONE) tell(s, fault, why);
  s->retry_at = now_of(s) + RETRY_SECONDS;
  free(why);
  load_values(s);
}

static void put_aside(struct sqlite_store *s) {
  char *aside = sqlite_db_put_aside(s->config.path, "corrupt", wall_of(s));
  log_message(LOG_ERROR, "store %s: the file is damaged: it is %s now, and an empty one takes its place",
              s->config.path, aside);
  free(aside);
}

// Nothing of the transaction has happened, or it is not known: whoever asked is told so.
static void fail(struct sqlite_store *s) {
  enum sqlite_fault fault = sqlite_fault_of(s->db.rc);
  tell(s, fault, sqlite_db_message(&s->db));
  s->retry_at = now_of(s) + RETRY_SECONDS;
  sqlite_db_rollback(&s->db);
  sqlite_channels_clear(&s->channels);
  note_answers(s, refuse_all(&s->done, sqlite_fault_word(fault)));
  if (s->config.is_async) s->is_to_renew = true;
  if (fault == FAULT_FULL) sqlite_db_checkpoint(&s->db, true); // what the log holds may find room in the file
  if (fault == FAULT_FULL || fault == FAULT_READ_ONLY) return;
  sqlite_db_close(&s->db, false);
  if (fault == FAULT_CORRUPT) put_aside(s), shared_keep_again(s->config.shared);
  open_anew(s, true);
}

// All that has been carried out is in the file, and nobody here has it open.
static void leave_file(struct sqlite_store *s) {
  while (s->db.handle && !s->db.rc && sqlite_values_keep(&s->db, s->config.shared, s->config.clock)) continue;
  sqlite_channels_clear(&s->channels);
  sqlite_db_close(&s->db, !s->is_to_renew);
}

// Does what the lease says; whether the file is this process's.
static bool is_owned(struct sqlite_store *s) {
  enum sqlite_lease lease = (enum sqlite_lease)atomic_load(&s->lease);
  if (lease == STORE_OWNED && s->is_away) s->is_away = false, open_anew(s, false);
  if (lease == STORE_OWNED) return true;
  if (!s->is_away && s->db.handle) leave_file(s);
  s->is_away = true;
  if (lease == STORE_GIVEN) s->fault = FAULT_IN_USE, s->retry_at = INFINITY;
  return false;
}

static bool is_ready(struct sqlite_store *s) {
  if (s->fault == FAULT_REPLACED || !is_owned(s)) return false;
  if (!s->db.handle && now_of(s) >= s->retry_at) open_anew(s, true);
  if (!s->db.handle) return false;
  if (!sqlite_db_has_moved(&s->db)) return true;
  tell(s, FAULT_REPLACED,
       "its file was removed, or another has its name; what was committed to it is lost. Restart");
  sqlite_channels_clear(&s->channels);
  sqlite_db_close(&s->db, false);
  return false;
}

static void begin(struct sqlite_store *s) {
  s->page_count = 0;
  if (sqlite_db_begin(&s->db) && s->is_to_renew) sqlite_db_renew(&s->db, wall_of(s));
}

static bool carry_out_batch(struct sqlite_store *s) {
  struct list batch;
  list_init(&batch);
  size_t count = sqlite_queue_take(&s->queue, &batch, BATCH_MAX);
  if (!count) return false;
  bool may = is_ready(s);
  if (!may && s->fault == FAULT_NONE) { // lent a moment ago
    sqlite_queue_put_back(&s->queue, &batch, count);
    return false;
  }
  if (!may) {
    note_answers(s, refuse_all(&batch, sqlite_fault_word(s->fault)));
    return true;
  }
  unsigned long appended = s->db.appended_total;
  begin(s);
  carry_out_some(s, &batch, &count);
  if (count) sqlite_queue_put_back(&s->queue, &batch, count);
  if (!sqlite_db_commit(&s->db)) {
    fail(s);
    return true;
  }
  count_kept(s, s->db.appended_total - appended);
  succeed(s);
  return true;
}

bool sqlite_store_work(struct sqlite_store *s) {
  bool had_requests = carry_out_batch(s);
  bool is_due = s->fault == FAULT_NONE || now_of(s) >= s->retry_at;
  bool had_upkeep = is_due && is_ready(s) && sqlite_upkeep(s, had_requests);
  if (is_due && s->fault != FAULT_NONE) s->retry_at = now_of(s) + RETRY_SECONDS;
  if (s->db.rc) fail(s);
  else if (had_upkeep && !s->is_to_renew) recover(s);
  return had_requests || had_upkeep;
}

static bool is_lent(struct sqlite_store *s) { return atomic_load(&s->lease) == STORE_LENT && !is_owned(s); }

static void *run(void *arg) {
  struct sqlite_store *s = arg;
  while (!sqlite_queue_is_over(&s->queue)) {
    if (is_lent(s)) sqlite_queue_rest(&s->queue);
    else if (!sqlite_store_work(s)) sqlite_queue_wait(&s->queue, sqlite_upkeep_wait(s));
  }
  return NULL;
}

void sqlite_store_lease(struct sqlite_store *s, enum sqlite_lease lease) {
  atomic_store(&s->lease, lease);
  sqlite_queue_poke(&s->queue);
}

// The process that has it may be about to close it.
static enum sqlite_fault open_first(struct sqlite_store *s, const struct sqlite_run *run_of, char **error) {
  double until = now_of(s) + s->config.patience;
  enum sqlite_fault fault = sqlite_db_open(&s->db, s->config.path, run_of, error);
  while (fault == FAULT_IN_USE && now_of(s) < until) {
    free(*error);
    *error = NULL;
    nanosleep(&(struct timespec){.tv_nsec = PATIENCE_NS}, NULL);
    fault = sqlite_db_open(&s->db, s->config.path, run_of, error);
  }
  return fault;
}

struct sqlite_store *sqlite_store_new(const struct sqlite_store_config *config, char **error) {
  struct sqlite_store *s = xcalloc(1, sizeof *s);
  s->store.ops = &ops, s->store.kind = STORE_SQLITE, s->store.clock = config->clock, s->config = *config,
  s->config.path = xstrdup(config->path);
  struct sqlite_run run_of = {.is_async = config->is_async, .wall = wall_of(s)};
  sqlite_queue_init(&s->queue);
  sqlite_channels_init(&s->channels, CHANNELS_MAX);
  list_init(&s->done);
  s->sweep_at = s->checkpoint_at = now_of(s);
  enum sqlite_fault fault = open_first(s, &run_of, error);
  if (fault == FAULT_CORRUPT) {
    free(*error);
    put_aside(s);
    fault = sqlite_db_open(&s->db, s->config.path, &run_of, error);
  }
  if (fault == FAULT_FULL || fault == FAULT_FAILED) {
    tell(s, fault, *error);
    free(*error);
    *error = NULL;
  } else if (fault != FAULT_NONE) {
    sqlite_store_free(s);
    return NULL;
  }
  config->broker->store = &s->store, config->broker->store_wants_history = true;
  load_values(s);
  s->keeper.on_change = on_change, config->shared->keeper = &s->keeper;
  return s;
}

bool sqlite_store_start(struct sqlite_store *s) {
  s->has_thread = true;
  s->has_thread = thread_start(&s->thread, run, s) == 0;
  return s->has_thread;
}

bool sqlite_store_stop(struct sqlite_store *s, double seconds) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += (time_t)seconds;
  if (atomic_load(&s->lease) == STORE_LENT) sqlite_store_lease(s, STORE_OWNED);
  sqlite_queue_close(&s->queue);
  if (s->has_thread && pthread_timedjoin_np(s->thread, NULL, &until) != 0) return false;
  s->has_thread = false;
  while (!sqlite_queue_is_over(&s->queue)) sqlite_store_work(s);
  leave_file(s);
  s->config.shared->keeper = NULL;
  return true;
}

void sqlite_store_free(struct sqlite_store *s) {
  sqlite_channels_deinit(&s->channels);
  sqlite_queue_deinit(&s->queue);
  free((char *)s->config.path);
  free(s);
}
