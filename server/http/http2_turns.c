// SPDX-License-Identifier: MIT
// Downloads that a client does not want by turns go one after the other, in the order that it has asked for
// them: the first that can go on is the one that does, and it takes turns with everything else of its
// urgency. What has no length, as events have none, always takes turns, since it may never end.
#include "http/http2_turns.h"

enum { URGENCY_DEFAULT = 3 };

static bool is_urgency(struct span s) { return s.len == 1 && s.bytes[0] >= '0' && s.bytes[0] <= '7'; }

// "u=1, i": members of a dictionary (RFC 8941 3.2), of which the last of a name counts. What it has beside
// these two, and parameters, mean nothing.
struct http2_priority http2_priority(struct span value) {
  struct http2_priority p = {URGENCY_DEFAULT, !value.len};
  while (value.len) {
    struct span member = span_split(&value, ',');
    struct span one = span_trim(span_split(&member, ';'));
    if (span_starts_with(one, SPAN("u=")) && is_urgency(span_behind(one, 2)))
      p.urgency = (uint8_t)(one.bytes[2] - '0');
    if (span_equal(one, SPAN("i")) || span_equal(one, SPAN("i=?1"))) p.takes_turns = true;
    if (span_equal(one, SPAN("i=?0"))) p.takes_turns = false;
  }
  return p;
}

static struct http2_early *early_find(struct http2 *h, int32_t id) {
  for (size_t i = 0; i < EARLY_KEPT; i++)
    if (h->early[i].id == id) return &h->early[i];
  return NULL;
}

void http2_turns_expect(struct http2 *h, int32_t id, struct span value) {
  struct http2_early *known = early_find(h, id);
  struct http2_early *early = known ? known : &h->early[h->early_at++ % EARLY_KEPT];
  *early = (struct http2_early){id, http2_priority(value)};
}

struct http2_priority http2_turns_first(struct http2 *h, int32_t id, struct span field) {
  const struct http2_early *early = early_find(h, id);
  return early ? early->priority : http2_priority(field);
}

void http2_turns_set(struct http2 *h, struct http2_stream *s, struct http2_priority priority) {
  nghttp2_extpri with = {.urgency = priority.urgency, .inc = true};
  nghttp2_session_change_extpri_stream_priority(h->session, s->id, &with, true);
  s->urgency = priority.urgency, s->takes_turns = priority.takes_turns;
}

static bool is_queued(const struct http2_stream *s) { return s->has_length && !s->takes_turns; }

// A part of a file that has to leave before the next one does not end a turn; a closed window does.
static bool can_go_on(struct http2 *h, const struct http2_stream *s) {
  return s->stream && !s->is_ended && !s->is_closed && (!s->is_deferred || s->has_more) &&
         nghttp2_session_get_stream_remote_window_size(h->session, s->id) > 0;
}

static bool has_to_wait(struct http2 *h, const struct http2_stream *s) {
  if (!is_queued(s)) return false;
  for (const struct list *node = h->streams.next; node != &s->link; node = node->next) {
    const struct http2_stream *other = container_of(node, const struct http2_stream, link);
    if (is_queued(other) && other->urgency == s->urgency && can_go_on(h, other)) return true;
  }
  return false;
}

bool http2_turns_wait(struct http2 *h, struct http2_stream *s) {
  if (!has_to_wait(h, s)) return false;
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
    any |= !waits;
  }
  return any;
}
