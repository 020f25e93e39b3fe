// SPDX-License-Identifier: MIT
// The defaults. What a configuration file or the command line says is read over them (script/lua_settings).
#include "serve/settings.h"
#include "base/log.h"
#include "event/broker.h"

struct settings settings_default(void) {
  return (struct settings){
      .limits = {.head = 16 << 10,
                 .target = 8 << 10,
                 .fields = 100,
                 .body = 1 << 20,
                 .chunk_extensions = 16 << 10,
                 .requests = 1000,
                 .connections_per_address = 256,
                 .handshakes = 4096,
                 .send_buffer = 64 << 10,
                 .upload = (size_t)1 << 30,
                 .parts = 100,
                 .spool = 64 << 10,
                 .query_pairs = 200,
                 .event = 4 << 20,
                 .queue_high = 256 << 10,
                 .queue_low = 64 << 10,
                 .queue_events = 1000,
                 .subscriber = 16 << 20,
                 .inbox = (size_t)64 << 20,
                 .lua_memory = (size_t)512 << 20,
                 .shared = 64 << 20,
                 .json_depth = 200,
                 .tasks = 100000,
                 .processes = 100,
                 .channels = 100000,
                 .channel_bytes = (size_t)256 << 20,
                 .http_requests = 4096,
                 .http_window = 64 << 10,
                 .http_head = 64 << 10,
                 .http_fields = 200,
                 .http_body = 16 << 20,
                 .files = 10000,
                 .file_window = 64 << 10,
                 .file = 64 << 20,
                 .work = (size_t)256 << 20,
                 .burst = 0.5,
                 .turn = 0.1,
                 .hang = 10},
      .timeouts = {.handshake = 10,
                   .head = 10,
                   .idle = 15,
                   .body = 10,
                   .body_total = 60,
                   .send = 30,
                   .start = 30,
                   .kill = 5,
                   .http_connect = 10,
                   .http_idle = 60},
      .http2 = {.on = true,
                .streams = 256,
                .window = (64 << 10) - 1,
                .connection_window = 4 << 20,
                .requests = 100000,
                .resets = 500,
                .frames = 1000},
      .keep_alive = {.interval = 15},
      .offload = {.threads = 4, .queue = 100, .memory = 64 << 20, .bytes = 16 << 20, .time = 10},
      .shutdown = {.grace = 30, .window = 5, .retry = 1},
      .reload = {.max_age = 3600, .generations = 8},
      .compress = {.window = 8 << 10, .memory = (size_t)64 << 20},
      .http = {.private = true},
      .io_uring = true,
      .log = {.level = LOG_INFO,
              .access = true,
              .redact = {.count = 12,
                         .list = {"token", "access_token", "id_token", "refresh_token", "jwt", "auth",
                                  "api_key", "apikey", "password", "secret", "signature", "ticket"}}},
  };
}

int settings_window_bits(const struct settings *s) { return __builtin_ctzl(s->compress.window); }

struct broker_limits settings_broker_limits(const struct settings *s) {
  return (struct broker_limits){.channels = s->limits.channels,
                                .bytes = s->limits.channel_bytes,
                                .inbox = s->limits.inbox,
                                .deflaters = s->compress.memory,
                                .window_bits = settings_window_bits(s)};
}

void settings_for_dev(struct settings *s) {
  s->shutdown.grace = 2, s->shutdown.window = 0, s->shutdown.retry = 0.1;
  s->timeouts.kill = 1;
}
