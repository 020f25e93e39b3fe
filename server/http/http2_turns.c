// SPDX-License-Identifier: MIT
// Downloads that a client does not want by turns go one after the other, in the order that it has asked for
// them: the first that can go on is the one that does, and it takes turns with everything else of its
// urgency. What has no length, as events have none, always takes turns, since it may never end.
#include "http/http2_turns.h"

enum { URGENCY_DEFAULT = 3 };

// "u=1, i": members of a dictionary (RFC 8941 3.2), of which the last of a name counts. What it has beside
// these two, and parameters, mean nothing.
struct http2_priority http2_priority(struct span value) {
  struct http2_priority p = {URGENCY_DEFAULT, !value.len};
  while (value.len) {
    struct span member = span_split(&value, ',');
    struct span one = span_trim(span_split(&member, ';'));
    bool is_urgency = one.len == 3 && one.bytes[0] == 'u' && one.bytes[1] == '=';
    if (is_urgency && one.bytes[2] >= '0' && one.bytes[2] <= '7') p.urgency = (uint8_t)(one.bytes[2] - '0');
    if (span_equal(one, SPAN("i")) || span_equal(one, SPAN("i=?1"))) p.takes_turns = true;
    if (span_equal(one, SPAN("i=?0"))) p.takes_turns = false;
  }
  return p;
}

void http2_turns_expect(struct http2 *h, int32_t id, struct span value) {
  h->early[h->early_at].id = id, h->early[h->early_at].priority = http2_priority(value);
  h->early_at = (uint8_t)((h->early_at + 1) % EARLY_KEPT);
}

struct http2_priority http2_turns_first(struct http2 *h, int32_t id, struct span field) {
  for (size_t i = 1; i <= EARLY_KEPT; i++) { // the latest first
    size_t at = (h->early_at + EARLY_KEPT - i) % EARLY_KEPT;
    if (h->early[at].id == id) return h->early[at].priority;
  }
  return http2_priority(field);
}

void http2_turns_set(struct http2 *h, struct http2_stream *s, struct http2_priority priority) {
  nghttp2_extpri with = {.urgency = priority.urgency, .inc = 1};
  nghttp2_session_change_extpri_stream_priority(h->session, s->id, &with, 1);
  s->urgency = priority.urgency, s->takes_turns = priority.takes_turns;
  if (list_empty(&s->ready)) return;
  list_remove(&s->ready);
  list_append(&h->ready, &s->ready);
}

static bool is_queued(const struct http2_stream *s) { return s->has_length && !s->takes_turns; }

// A part of a file that has to leave before the next one does not end a turn; a closed window does.
static bool can_go_on(struct http2 *h, const struct http2_stream *s) {
  return s->stream && !s->is_ended && !s->is_closed && (!s->is_deferred || s->has_more) &&
         nghttp2_session_get_stream_remote_window_size(h->session, s->id) > 0;
}

static bool has_to_wait(struct http2 *h, const struct http2_stream *s) {
  if (!is_queued(s)) return false;
  list_each (node, &h->streams) {
    const struct http2_stream *other = container_of(node, struct http2_stream, link);
    if (other == s) return false;
    if (is_queued(other) && other->urgency == s->urgency && can_go_on(h, other)) return true;
  }
  return false;
}

bool http2_turns_wait(struct http2 *h, struct http2_stream *s) {
  if (!has_to_wait(h, s)) return false;
  s->is_deferred = true, s->has_more = false;
  list_append(&h->waiting, &s->ready);
  return true;
}

bool http2_turns_pass(struct http2 *h) {
  struct list now;
  bool any = false;
  list_init(&now);
  list_splice(&now, &h->waiting);
  for (struct list *node; (node = list_shift(&now));) {
    struct http2_stream *s = container_of(node, struct http2_stream, ready);
    bool waits = has_to_wait(h, s);
    list_append(waits ? &h->waiting : &h->ready, node);
    s->is_deferred = waits;
    any |= !waits;
  }
  return any;
}
