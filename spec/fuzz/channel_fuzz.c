// SPDX-License-Identifier: MIT
// Publishes, subscribes, resumes, leaves, lets time pass and finishes at random, with subscribers at two
// workers whose inboxes are emptied at random moments. What history holds is compared with a plain list.
// Every subscriber must see each event once, in order and without a gap, from the first that it was promised;
// or be told `reset`. Or the events are numbered elsewhere, over several epochs, and admitted in any order:
// only the one that follows may come in.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/util.h"
#include "event/broker.h"
#include "loop/loop.h"

#define REQUIRE(condition)                                                                     \
  do {                                                                                         \
    if (!(condition)) fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), abort(); \
  } while (0)

enum { WORKERS = 2, READERS = 8, PUBLISHED_MAX = 512 };

struct reader {
  struct subscriber subscriber;
  bool is_on, is_finished;
  size_t expects; // the place of the next event in the list
};

static struct manual_clock manual;
static struct loop loops[WORKERS];
static struct inbox inboxes[WORKERS];
static struct reader readers[READERS];
static struct channel *channel;
static struct channel_options options;
static bool is_finished;

// The plain list: what was numbered, at [0] what was before. From `oldest` to `newest` the channel holds it;
// what is behind was not admitted yet.
static struct {
  struct position at;
  double published_at;
  size_t len;
} list[PUBLISHED_MAX + 1];
static size_t numbered, newest, oldest;
static bool is_numbered_elsewhere;

static bool on_event(struct subscriber *s, struct event *e) {
  struct reader *r = container_of(s, struct reader, subscriber);
  REQUIRE(r->is_on && !r->is_finished && position_equals(event_position(e), list[r->expects].at));
  r->expects++;
  return true;
}

static void on_finish(struct subscriber *s) {
  struct reader *r = container_of(s, struct reader, subscriber);
  REQUIRE(is_finished && r->expects >= newest + 1); // or further, as who follows may be
  r->is_finished = true;
}

static void on_lost(struct subscriber *s) {
  (void)s;
  REQUIRE(!"fewer events than an outlet holds");
}

static const struct subscriber_ops ops = {on_event, on_finish, on_lost};

static double now(void) { return manual.now; }

static void let_go(void) {
  size_t bytes = 0;
  while (options.ttl > 0 && oldest <= newest && list[oldest].published_at + options.ttl <= now()) oldest++;
  while (newest + 1 - oldest > options.history) oldest++;
  for (size_t i = oldest; i <= newest; i++) bytes += list[i].len;
  for (; options.history_bytes && oldest <= newest && bytes > options.history_bytes; oldest++)
    bytes -= list[oldest].len;
}

static struct sse_fields fields_of(size_t len) {
  static const char text[256] = "x";
  struct sse_fields f = SSE_NO_FIELDS;
  f.data = (struct span){text, len};
  return f;
}

static void add(struct event *e) {
  list[++newest].len = e->len, list[newest].published_at = now();
  let_go();
}

static void publish(size_t len) {
  struct sse_fields f = fields_of(len);
  char id[CHANNEL_ID_MAX] = "";
  struct position at;
  if (newest >= PUBLISHED_MAX) return;
  enum publish_result result = channel_publish(channel, &f, 0, now(), id);
  REQUIRE((result == PUBLISH_FINISHED) == is_finished);
  if (is_finished) return;
  REQUIRE(result == PUBLISH_OK && position_read(span_of(id), &at));
  REQUIRE(at.epoch == list[0].at.epoch && at.seq == newest + 1);
  list[++numbered].at = at;
  struct event *e = channel_event(&f, 0, at, id);
  add(e);
  event_unref(e);
}

// One more than there was, in the same epoch or a later one; not admitted yet.
static void number(size_t how) {
  if (numbered >= PUBLISHED_MAX) return;
  struct position at = list[numbered].at;
  list[++numbered].at = how % 8 ? (struct position){at.epoch, at.seq + 1}
                                : (struct position){at.epoch + how + 1, 1 + how % 16 / 8};
  list[numbered].len = how;
}

// The i-th from the one that follows, or one that is there already.
static void admit(size_t i) {
  char id[CHANNEL_ID_MAX];
  i = newest + i < 4 ? 1 : newest + i - 3;
  if (i > numbered) return;
  struct sse_fields f = fields_of(list[i].len % 256);
  struct event *e = channel_event(&f, 0, list[i].at, id);
  enum admit_result result = channel_admit(channel, e, list[i - 1].at, now());
  REQUIRE(result == (is_finished || i <= newest ? ADMIT_KNOWN : i == newest + 1 ? ADMIT_OK : ADMIT_JUMP));
  if (result == ADMIT_OK) add(e);
  event_unref(e);
}

// Without an id: the newest `last`. With one, of the event `after`, or one that was never given.
static void subscribe(struct reader *r, size_t worker, bool has_id, size_t after, bool is_wrong, long last) {
  struct replay replay;
  char id[CHANNEL_ID_MAX] = "";
  if (r->is_on) return;
  let_go();
  struct position p = list[MIN(after, numbered)].at;
  if (is_wrong || after > numbered) p.seq += PUBLISHED_MAX;
  if (has_id) position_write(p, id);
  r->subscriber = (struct subscriber){.ops = &ops};
  channel_subscribe(channel, &inboxes[worker], &r->subscriber, span_of(id), last, now(), &replay);
  size_t held = newest + 1 - oldest, count = last < 0 ? held : MIN((size_t)last, held);
  bool is_known = !is_wrong && after <= newest && after + 1 >= oldest;
  if (has_id) count = is_known ? newest - after : held;
  REQUIRE(replay.reset == (has_id && !is_known));
  REQUIRE(replay.count == count && replay.finished == is_finished);
  for (size_t i = 0; i < replay.count; i++) {
    REQUIRE(position_equals(event_position(replay.events[i]), list[newest - count + 1 + i].at));
    event_unref(replay.events[i]);
  }
  free(replay.events);
  r->is_on = true, r->is_finished = false, r->expects = newest + 1;
}

// As one that has read the past up to there; where that is further than is admitted here, it has to wait.
static void follow(struct reader *r, size_t worker, size_t from) {
  struct replay replay;
  if (r->is_on || from > numbered) return;
  let_go();
  r->subscriber = (struct subscriber){.ops = &ops};
  bool is_live = channel_follow(channel, &inboxes[worker], &r->subscriber, list[from].at, now(), &replay);
  REQUIRE(is_live == (from + 1 >= oldest && from <= newest));
  if (!is_live) return;
  REQUIRE(replay.count == newest - from && !replay.reset);
  for (size_t i = 0; i < replay.count; i++) event_unref(replay.events[i]);
  free(replay.events);
  r->is_on = true, r->is_finished = false, r->expects = newest + 1;
}

static void leave(struct reader *r) {
  if (r->is_on) channel_unsubscribe(&r->subscriber);
  r->is_on = false;
}

static void check_history(void) {
  struct event **events;
  let_go();
  long count = channel_history(channel, -1, now(), &events);
  REQUIRE(count == (long)(newest + 1 - oldest));
  for (size_t i = 0; i < (size_t)count; i++) {
    REQUIRE(position_equals(event_position(events[i]), list[oldest + i].at));
    event_unref(events[i]);
  }
  free(events);
}

static void act(uint8_t what, uint8_t how) {
  switch (what % 8) {
  case 0:
  case 1:
    if (!is_numbered_elsewhere) publish(how);
    else if (what & 64) number(how);
    else if (what & 128)
      follow(&readers[how % READERS], what / 8 % WORKERS, newest + 4 - MIN(how / 8u, newest + 4));
    else admit(what / 8 % 8);
    break;
  case 2:
    subscribe(&readers[how % READERS], what / 8 % WORKERS, false, 0, false, what >= 128 ? -1 : what / 16);
    break;
  case 3:
    subscribe(&readers[how % READERS], what / 8 % WORKERS, true, newest + 4 - MIN(how / 8u, newest + 4),
              what >= 224, 0);
    break;
  case 4: leave(&readers[how % READERS]); break;
  case 5: loop_turn(&loops[how % WORKERS]); break;
  case 6: manual.now += how / 8.0; break;
  default:
    if (how == 255 && !is_finished) is_finished = channel_finish(channel, NULL, now()) == PUBLISH_OK;
    else check_history();
  }
}

static void begin(struct broker *b, uint8_t first, uint8_t second) {
  bool created;
  options = (struct channel_options){.history = first % 16,
                                     .ttl = first / 16,
                                     .queue = 10,
                                     .history_bytes = second % 4 ? (size_t)second * 4 : 0};
  manual_clock_init(&manual, 0);
  broker_init(b, (struct broker_limits){10, 1 << 30, 1 << 30});
  for (size_t i = 0; i < WORKERS; i++)
    loop_init(&loops[i], &manual.clock, false), inbox_init(&inboxes[i], &loops[i]);
  numbered = newest = 0, oldest = 1, is_finished = false;
  is_numbered_elsewhere = second >= 128;
  channel = broker_open(b, SPAN("c"), &options, 0, 1e9, &created);
  list[0].at = channel_newest(channel);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  struct broker broker;
  if (len < 2) return 0;
  begin(&broker, bytes[0], bytes[1]);
  for (size_t i = 2; i + 1 < len; i += 2) act(bytes[i], bytes[i + 1]);
  check_history();
  for (size_t i = 0; i < WORKERS; i++) loop_turn(&loops[i]);
  for (size_t i = 0; i < READERS; i++) {
    if (readers[i].is_on && !readers[i].is_finished) REQUIRE(readers[i].expects >= newest + 1);
    leave(&readers[i]);
  }
  for (size_t i = 0; i < WORKERS; i++) inbox_deinit(&inboxes[i]), loop_deinit(&loops[i]);
  channel_unref(channel);
  broker_deinit(&broker);
  REQUIRE(event_count() == 0);
  return 0;
}
