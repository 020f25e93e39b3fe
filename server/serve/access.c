// SPDX-License-Identifier: MIT
#include "serve/access.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/forwarded.h"
#include "http/redact.h"
#include <stdlib.h>

enum { ADDRESS_MAX = 64 };

static size_t client_address(const struct conn *c, const struct request *r, char out[ADDRESS_MAX]) {
  size_t len = r ? forwarded_address(r, &c->service->settings->trusted_proxies, out) : 0;
  return len ? len : c->transport->ops->peer(c->transport, out, ADDRESS_MAX);
}

size_t access_client(const struct stream *s, char *out, size_t cap) {
  char address[ADDRESS_MAX];
  size_t len = MIN(client_address(s->conn, s->request, address), cap);
  memcpy(out, address, len);
  return len;
}

static bool begin(struct log_line *l, const struct conn *c, const struct request *r, const char *message) {
  if (!c->service->settings->log.access || !log_is_on(LOG_INFO)) return false;
  log_begin(l, LOG_INFO, clock_wall(c->service->loop->clock), span_of(message));
  char address[ADDRESS_MAX];
  log_field(l, "remote", (struct span){address, client_address(c, r, address)});
  return true;
}

static void add_request(struct log_line *l, const struct stream *s) {
  log_field(l, "method", method_name(s->request->method));
  struct span target = s->request->target;
  char *redacted = xmalloc(redacted_max(target));
  log_field(
      l, "target",
      (struct span){redacted, redact_target(&s->conn->service->settings->log.redact, target, redacted)});
  free(redacted);
  log_number(l, "status", s->status);
}

void access_opened(const struct stream *s) {
  struct log_line l;
  if (!begin(&l, s->conn, s->request, "open")) return;
  add_request(&l, s);
  log_end(&l);
}

void access_closed(const struct stream *s, enum close_reason reason) {
  struct log_line l;
  if (!begin(&l, s->conn, s->request, s->is_sse ? "close" : "request")) return;
  add_request(&l, s);
  log_number(&l, "bytes", (double)s->bytes_out);
  log_number(&l, "ms", (double)(long)((s->conn->service->loop->now - s->opened_at) * 1e3));
  if (s->is_sse) log_number(&l, "events", (double)s->events_out);
  if (s->is_sse || reason != REASON_FINISHED) log_field(&l, "reason", span_of(close_reason_name(reason)));
  log_end(&l);
}

void access_refused(const struct conn *c, int status, const char *why) {
  struct log_line l;
  if (!begin(&l, c, NULL, "refused")) return;
  log_number(&l, "status", status);
  log_field(&l, "why", span_of(why));
  log_end(&l);
}
