// SPDX-License-Identifier: MIT
// Publishes, subscribes, resumes, leaves, lets time pass and finishes at random, with subscribers at two
// workers whose inboxes are emptied at random moments. What history holds is compared with a plain list.
// Every subscriber must see each event once, in order and without a gap, from the first that it was promised;
// or be told `reset`.
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
  uint64_t expects; // the number of the next event
};

static struct manual_clock manual;
static struct loop loops[WORKERS];
static struct inbox inboxes[WORKERS];
static struct reader readers[READERS];
static struct channel *channel;
static struct channel_options options;
static bool is_finished;

// The plain list: what was published, when, how long; from `oldest` on it is held.
static struct {
  double at;
  size_t len;
} published[PUBLISHED_MAX + 1];
static uint64_t newest, oldest;
static char epoch[CHANNEL_ID_MAX];

static bool on_event(struct subscriber *s, struct event *e) {
  struct reader *r = container_of(s, struct reader, subscriber);
  REQUIRE(r->is_on && !r->is_finished && e->seq == r->expects);
  r->expects++;
  return true;
}

static void on_finish(struct subscriber *s) {
  struct reader *r = container_of(s, struct reader, subscriber);
  REQUIRE(is_finished && r->expects == newest + 1);
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
  while (options.ttl > 0 && oldest <= newest && published[oldest].at + options.ttl <= now()) oldest++;
  while (newest + 1 - oldest > options.history) oldest++;
  for (uint64_t i = oldest; i <= newest; i++) bytes += published[i].len;
  for (; options.history_bytes && oldest <= newest && bytes > options.history_bytes; oldest++)
    bytes -= published[oldest].len;
}

static void publish(size_t len) {
  static const char text[256] = "x";
  struct sse_fields f = SSE_NO_FIELDS;
  char id[CHANNEL_ID_MAX] = "";
  f.data = (struct span){text, len};
  if (newest >= PUBLISHED_MAX) return;
  enum publish_result result = channel_publish(channel, &f, 0, 0, now(), id);
  REQUIRE((result == PUBLISH_FINISHED) == is_finished);
  if (is_finished) return;
  REQUIRE(result == PUBLISH_OK);
  newest++;
  unsigned long long number;
  REQUIRE(sscanf(id, "%47[^-]-%llu", epoch, &number) == 2 && number == newest);
  f.id = span_of(id);
  struct event *e = sse_encode(&f, sse_length(&f));
  published[newest].at = now(), published[newest].len = e->len;
  event_unref(e);
  let_go();
}

// Without an id: the newest `last`. With one, of the event `after` (which may never have been).
static void subscribe(struct reader *r, size_t worker, bool has_id, uint64_t after, long last) {
  struct replay replay;
  char id[CHANNEL_ID_MAX + 24] = "";
  if (r->is_on) return;
  let_go();
  if (has_id) snprintf(id, sizeof id, "%s-%llu", *epoch ? epoch : "0", (unsigned long long)after);
  r->subscriber = (struct subscriber){.ops = &ops};
  channel_subscribe(channel, &inboxes[worker], &r->subscriber, span_of(id), last, now(), &replay);
  uint64_t held = newest + 1 - oldest, count = last < 0 ? held : MIN((uint64_t)last, held);
  bool is_known = *epoch && after <= newest && after + 1 >= oldest;
  if (has_id) count = is_known ? newest - after : held;
  REQUIRE(replay.reset == (has_id && !is_known));
  REQUIRE(replay.count == count && replay.finished == is_finished);
  for (size_t i = 0; i < replay.count; i++) {
    REQUIRE(replay.events[i]->seq == newest - count + 1 + i);
    event_unref(replay.events[i]);
  }
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
  size_t count = channel_history(channel, -1, now(), &events);
  REQUIRE(count == newest + 1 - oldest);
  for (size_t i = 0; i < count; i++) {
    REQUIRE(events[i]->seq == oldest + i);
    event_unref(events[i]);
  }
  free(events);
}

static void act(uint8_t what, uint8_t how) {
  switch (what % 8) {
  case 0:
  case 1: publish(how); break;
  case 2:
    subscribe(&readers[how % READERS], what / 8 % WORKERS, false, 0, what >= 128 ? -1 : what / 16);
    break;
  case 3:
    subscribe(&readers[how % READERS], what / 8 % WORKERS, true, newest + 4 - MIN(how / 8, newest + 4), 0);
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
  newest = 0, oldest = 1, is_finished = false, *epoch = 0;
  channel = broker_open(b, SPAN("c"), &options, 0, 1e9, &created);
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
    if (readers[i].is_on && !readers[i].is_finished) REQUIRE(readers[i].expects == newest + 1);
    leave(&readers[i]);
  }
  for (size_t i = 0; i < WORKERS; i++) inbox_deinit(&inboxes[i]), loop_deinit(&loops[i]);
  channel_unref(channel);
  broker_deinit(&broker);
  REQUIRE(event_count() == 0);
  return 0;
}
