// SPDX-License-Identifier: MIT
#include "serve/access.h"
#include "base/log.h"

static bool begin(struct log_line *l, const struct conn *c, const char *message) {
  if (!c->service->settings->log.access || !log_is_on(LOG_INFO)) return false;
  log_begin(l, LOG_INFO, clock_wall(c->service->loop->clock), span_of(message));
  char peer[64];
  log_field(l, "remote", (struct span){peer, c->transport->ops->peer(c->transport, peer, sizeof peer)});
  return true;
}

static void add_request(struct log_line *l, const struct stream *s) {
  log_field(l, "method", method_name(s->request->method));
  log_field(l, "target", s->request->target);
  log_number(l, "status", s->status);
}

void access_opened(const struct stream *s) {
  struct log_line l;
  if (!begin(&l, s->conn, "open")) return;
  add_request(&l, s);
  log_end(&l);
}

void access_closed(const struct stream *s, enum close_reason reason) {
  struct log_line l;
  if (!begin(&l, s->conn, s->is_sse ? "close" : "request")) return;
  add_request(&l, s);
  log_number(&l, "bytes", (double)s->bytes_out);
  log_number(&l, "ms", (double)(long)((s->conn->service->loop->now - s->opened_at) * 1e3));
  if (s->is_sse) log_number(&l, "events", (double)s->events_out);
  if (s->is_sse || reason != REASON_FINISHED) log_field(&l, "reason", span_of(close_reason_name(reason)));
  log_end(&l);
}

void access_refused(const struct conn *c, int status, const char *why) {
  struct log_line l;
  if (!begin(&l, c, "refused")) return;
  log_number(&l, "status", status);
  log_field(&l, "why", span_of(why));
  log_end(&l);
}
