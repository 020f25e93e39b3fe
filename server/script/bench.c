// SPDX-License-Identifier: MIT
// All that a Lua state wants to find of a worker, with the settings that nobody has changed.
#include "script/bench.h"
#include "serve/connections.h"

static void on_request(struct service *s, struct stream *stream) { (void)s, (void)stream; }

static const struct service_ops service_ops = {.on_request = on_request};

int bench_init(struct bench *b, const struct clock *clock, bool polls) {
  *b = (struct bench){.settings = settings_default()};
  if (loop_init(&b->loop, clock, polls) < 0) return -1;
  inbox_init(&b->inbox, &b->loop);
  broker_init(&b->broker, settings_broker_limits(&b->settings));
  metrics_init(&b->process.metrics);
  shared_registry_init(&b->shared, b->settings.limits.shared);
  service_init(&b->service, &b->loop, &b->settings, &service_ops);
  connections_init(&b->service);
  b->service.inbox = &b->inbox, b->service.broker = &b->broker;
  b->service.shared = &b->shared, b->service.process = &b->process;
  return 0;
}

void bench_deinit(struct bench *b) {
  connections_deinit(&b->service);
  service_deinit(&b->service);
  inbox_deinit(&b->inbox);
  broker_deinit(&b->broker);
  shared_registry_deinit(&b->shared);
  loop_deinit(&b->loop);
  metrics_deinit(&b->process.metrics);
}
