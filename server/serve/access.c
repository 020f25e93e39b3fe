// SPDX-License-Identifier: MIT
// A line is made only where it will be written. Secrets in the target are left out before it gets there.
#include "serve/access.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/forwarded.h"
#include "http/redact.h"
#include "http/trace_context.h"
#include "serve/stream_id.h"
#include <stdlib.h>

static size_t client_address(const struct carrier *c, const struct request *r, char out[ADDRESS_TEXT_MAX]) {
  size_t len = r ? forwarded_address(r, &c->service->settings->trusted_proxies, out) : 0;
  return len ? len : address_text(c->peer, out);
}

size_t access_client(const struct stream *s, char out[ADDRESS_TEXT_MAX]) {
  return client_address(s->carrier, s->request, out);
}

static bool begin(struct log_line *l, const struct carrier *c, const struct request *r, const char *message) {
  if (!c->service->settings->log.access || !log_is_on(LOG_INFO)) return false;
  log_begin(l, LOG_INFO, clock_wall(c->service->loop->clock), span_of(message));
  char address[ADDRESS_TEXT_MAX];
  log_field(l, SPAN("remote"), (struct span){address, client_address(c, r, address)});
  return true;
}

// The target without secrets; the caller frees its bytes.
static struct span redacted_target(const struct stream *s) {
  struct span target = s->request->target;
  char *out = xmalloc(redacted_max(target));
  return (struct span){out, redact_target(&stream_service(s)->settings->log.redact, target, out)};
}

// By these a line is a span of the trace that the client has begun.
static void add_trace(struct log_line *l, const struct stream *s) {
  char id[STREAM_ID_MAX];
  struct trace_context c;
  if (!trace_context_read(s->request, &c)) return;
  stream_id_text(s, id);
  log_field(l, SPAN("trace_id"), c.trace_id);
  log_field(l, SPAN("span_id"), span_of(id));
  log_field(l, SPAN("parent_id"), c.parent_id);
}

static void add_request(struct log_line *l, const struct stream *s) {
  struct span target = redacted_target(s);
  log_field(l, SPAN("method"), s->request->method_name);
  log_field(l, SPAN("target"), target);
  log_number(l, SPAN("status"), s->status);
  add_trace(l, s);
  free((void *)(uintptr_t)target.bytes);
}

void access_file_short(const struct stream *s) {
  struct span target = redacted_target(s);
  log_message(LOG_ERROR, "a file has become shorter while it was sent: " SPAN_FMT, SPAN_ARG(target));
  free((void *)(uintptr_t)target.bytes);
}

void access_opened(const struct stream *s) {
  struct log_line l;
  if (!begin(&l, s->carrier, s->request, "open")) return;
  add_request(&l, s);
  log_end(&l);
}

// What browsers ask for by themselves is no news to who has none yet.
static bool is_missing_favicon(const struct stream *s) {
  return stream_service(s)->settings->dev.on && s->status == 404 &&
         span_equal(s->request->target, SPAN("/favicon.ico"));
}

void access_closed(const struct stream *s, enum close_reason reason) {
  struct log_line l;
  if (is_missing_favicon(s)) return;
  if (!begin(&l, s->carrier, s->request, s->is_sse ? "close" : "request")) return;
  add_request(&l, s);
  log_number(&l, SPAN("bytes"), (double)s->bytes_out);
  log_number(&l, SPAN("ms"),
             (double)(long)((clock_now(stream_service(s)->loop->clock) - s->opened_at) * 1e3));
  if (s->is_sse) log_number(&l, SPAN("events"), (double)s->events_out);
  if (s->is_sse || reason != REASON_FINISHED)
    log_field(&l, SPAN("reason"), span_of(close_reason_name(reason)));
  log_end(&l);
}

void access_refused(const struct carrier *c, int status, const char *why) {
  struct log_line l;
  if (!begin(&l, c, NULL, "refused")) return;
  log_number(&l, SPAN("status"), status);
  log_field(&l, SPAN("why"), span_of(why));
  log_end(&l);
}

void access_flooded(const struct carrier *c, const char *why, const char *setting) {
  struct log_line l;
  if (!begin(&l, c, NULL, "flooded")) return;
  log_field(&l, SPAN("why"), span_of(why));
  if (setting) log_field(&l, SPAN("setting"), span_of(setting));
  log_end(&l);
}
