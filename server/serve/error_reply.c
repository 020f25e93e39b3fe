// SPDX-License-Identifier: MIT
// Text, or where Accept prefers it {"error":{"status":404,"message":"..."}}, the same that reply.error of
// the Lua library makes.
#include "serve/error_reply.h"
#include "http/negotiation.h"

#define RETRY_AFTER "5" // seconds

static const struct field TEXT = {{"Content-Type", 12}, {"text/plain; charset=utf-8", 25}};
static const struct field JSON = {{"Content-Type", 12}, {"application/json", 16}};

static void put_body(struct buf *out, bool is_json, int status, const char *why) {
  if (is_json) buf_printf(out, "{\"error\":{\"status\":%d,\"message\":\"%s\"}}", status, why);
  else buf_printf(out, "%s\n", why);
}

void error_reply(struct stream *s, int status, const char *why) {
  struct buf body = {0};
  bool is_json = accept_prefers_json(s->request);
  put_body(&body, is_json, status, why);
  stream_reply(s, status, is_json ? &JSON : &TEXT, 1, buf_span(&body));
  buf_deinit(&body);
}

// 405 here is to a method that nothing is ever served by; 503 to a connection too many.
bool error_refuse(struct carrier *c, struct proto *p, int status, const char *why, struct buf *out) {
  struct field fields[2] = {TEXT};
  size_t count = 1;
  if (status == 405)
    fields[count++] = (struct field){SPAN("Allow"), SPAN("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")};
  if (status == 503) fields[count++] = (struct field){SPAN("Retry-After"), SPAN(RETRY_AFTER)};
  struct response head = {.status = status,
                          .framing = FRAMING_LENGTH,
                          .content_length = strlen(why) + 1,
                          .fields = fields,
                          .field_count = count,
                          .date = service_date(c->service)};
  if (!p->ops->refuse(p, &head, why, out)) return false;
  put_body(out, false, status, why);
  return true;
}
