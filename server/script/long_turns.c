// SPDX-License-Identifier: MIT
// A turn is measured by its own loop when it ends, so that each is counted. Which line held it is known only
// where the watchdog was told to look meanwhile (process/turns): that costs the thread a signal, and so it is
// asked for only where it will be told.
#include "script/long_turns.h"
#include <stdio.h>
#include "base/log.h"
#include "script/watchdog.h"
#include "serve/service.h"

static const double QUIET_SECONDS = 60, DEV_QUIET_SECONDS = 1;

static const char WAY_OUT[] = "; a way out: spate.process runs programs, spate.http asks other servers, "
                              "spate.fs reads files, spate.offload "
                              "calls what blocks, and none of them holds the worker";

static void tell(struct long_turns *t, double took, const char *place) {
  char others[64] = "";
  if (t->untold)
    snprintf(others, sizeof others, "; %llu more since the last word of it", (unsigned long long)t->untold);
  log_message(
      LOG_WARN,
      "worker %d: a turn of its loop took %.2f s, in which it served nobody else (limits.turn): %s%s%s",
      t->worker, took, *place ? place : "not seen where", others,
      t->service->settings->dev.on ? WAY_OUT : "");
}

static void on_turn(struct turn_limit *limit, double took) {
  struct long_turns *t = container_of(limit, struct long_turns, limit);
  histogram_add_seconds(&t->service->counters.turns, took);
  __atomic_store_n(&t->service->counters.timers, t->service->loop->timers.count, __ATOMIC_RELAXED);
  if (took <= t->service->settings->limits.turn) return;
  counter_add(&t->service->counters.long_turns_total, 1);
  if (!long_turns_would_tell(t)) {
    t->untold++;
    return;
  }
  tell(t, took, watchdog_place(t->service->loop));
  t->untold = 0;
  atomic_store(&t->quiet_until,
               t->service->loop->now + (t->service->settings->dev.on ? DEV_QUIET_SECONDS : QUIET_SECONDS));
}

void long_turns_watch(struct long_turns *t, struct service *service, int worker) {
  *t = (struct long_turns){.limit = {-1, on_turn}, .service = service, .worker = worker};
  service->loop->turn_limit = &t->limit;
}

bool long_turns_would_tell(const struct long_turns *t) {
  return clock_now(t->service->loop->clock) >= atomic_load(&t->quiet_until);
}
