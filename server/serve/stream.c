// SPDX-License-Identifier: MIT
// What flows out, from its first byte to its end. Whoever produces may go on until stream_is_full and then
// waits for on_drain, so a client that reads slowly costs its queue and no more. The timer is lazy: it is
// armed for the earliest thing that could be due and looks when it fires.
#include "serve/stream.h"
#include <math.h>
#include <stdlib.h>
#include "event/sse.h"
#include "loop/transport.h"
#include "serve/access.h"
#include "serve/file_body.h"
#include "serve/tags.h"

static const double EARLY = 1e-6; // a timer may fire this much before the sum of two times says
static const double KICK_SECONDS = 5;

// When the time that was set for it is over; until it is an event stream it has all the time.
static double end_of(const struct stream *s) {
  bool is_set = s->lifetime > 0 && s->is_sse && s->state == STREAM_OPEN;
  return is_set ? s->opened_at + (double)s->lifetime : INFINITY;
}

// When what is missing of the request's body is late. Whose reader has left half of the window or more may
// have no room to send: it is told of room in halves.
static double body_end_of(const struct stream *s) {
  if (!s->times_body || s->state != STREAM_WAITING || s->body_done || !stream_body_is_due(s)) return INFINITY;
  bool is_held = s->reading != BODY_WHOLE && s->body.len > stream_service(s)->settings->http2.window / 2;
  if (is_held) return INFINITY;
  return MIN(s->body_moved + stream_service(s)->settings->timeouts.body, s->body_deadline);
}

// When who has been kicked is to have taken all; an answer in full has the time of others.
static double kick_end_of(const struct stream *s) {
  bool is_due = s->kicked && s->state == STREAM_ENDED && (s->is_sse || s->cut);
  return is_due ? s->last_sent + KICK_SECONDS : INFINITY;
}

// When its client has taken nothing for too long.
static double stall_end_of(const struct stream *s) {
  return s->blocked ? s->marked_at + stream_service(s)->settings->timeouts.send : INFINITY;
}

// When it has been quiet for long enough.
static double comment_time_of(const struct stream *s) {
  bool has_any = s->keep_alive > 0 && s->state == STREAM_OPEN;
  return has_any ? s->last_sent + (double)s->keep_alive : INFINITY;
}

static double next_deadline(const struct stream *s) {
  double at = MIN(comment_time_of(s), stall_end_of(s));
  return MIN(at, MIN(MIN(end_of(s), body_end_of(s)), kick_end_of(s)));
}

static bool has_come(const struct stream *s, double at) { return at <= stream_service(s)->loop->now + EARLY; }

void stream_watch(struct stream *s) {
  if (!s->leaving) loop_arm_by(stream_service(s)->loop, &s->timer, next_deadline(s));
}

// Has it written at the end of this turn.
static void stream_touch(struct stream *s) { s->carrier->ops->touch(s->carrier, s); }

bool stream_flush(struct stream *s) { return s->carrier->ops->flush(s->carrier, s); }

void stream_give_up(struct stream *s) {
  if (!s->kicked) counter_add(&stream_service(s)->counters.slow_total, 1);
  s->carrier->ops->give_up(s->carrier, s, s->kicked ? REASON_KICKED : REASON_SLOW_CONSUMER);
}

void stream_break(struct stream *s) { s->carrier->ops->give_up(s->carrier, s, REASON_ERROR); }

void stream_fall_behind(struct stream *s) {
  counter_add(&stream_service(s)->counters.slow_total, 1);
  stream_end(s, REASON_SLOW_CONSUMER, true);
}

static void end_and_tell(struct stream *s, enum close_reason reason, bool cut) {
  stream_end(s, reason, cut);
  if (s->ops) s->ops->on_gone(s, reason);
  s->ops = NULL; // whatever the client still takes: nothing more is asked for
}

static void send_retry(struct stream *s) {
  double factor = 1 + service_random(stream_service(s));
  struct sse_fields retry = SSE_NO_FIELDS;
  retry.retry_ms = (int64_t)(stream_service(s)->settings->shutdown.retry * factor * 1e3);
  stream_send(s, sse_encode(&retry, sse_length(&retry)));
}

// Other bytes than events have an end of their own, which this is not unless all that was announced is there.
static void end_or_cut(struct stream *s, enum close_reason reason) {
  bool is_whole = s->framing == FRAMING_LENGTH && !s->length_left;
  end_and_tell(s, reason, !s->is_sse && !is_whole);
}

static void leave(struct stream *s) {
  if (s->is_sse) send_retry(s);
  end_or_cut(s, (enum close_reason)s->reason);
}

static void send_comment(struct stream *s) {
  s->last_sent = stream_service(s)->loop->now;
  stream_enqueue(s, event_ref(s->comment));
}

static void on_timer(struct timer *t) {
  struct stream *s = container_of(t, struct stream, timer);
  if (s->leaving) {
    s->leaving = false;
    if (s->state == STREAM_OPEN) leave(s);
  }
  if (has_come(s, end_of(s))) end_and_tell(s, s->kicked ? REASON_KICKED : REASON_TIMEOUT, false);
  if (has_come(s, body_end_of(s))) {
    s->carrier->ops->late(s->carrier, s);
    return;
  }
  if (has_come(s, kick_end_of(s))) {
    stream_give_up(s);
    return;
  }
  if (has_come(s, stall_end_of(s))) {
    struct stream *worst = s->carrier->ops->hoarder(s->carrier, s);
    if (worst) {
      stream_give_up(worst);
      return;
    }
  }
  if (has_come(s, comment_time_of(s))) {
    if (!s->queue.count) send_comment(s);
    else s->last_sent = stream_service(s)->loop->now; // to who is blocked it would only wait too
  }
  stream_watch(s);
}

static void mark_proxied(const struct carrier *c, struct request *r) {
  r->from_proxy = trusted_has(&c->service->settings->trusted_proxies, c->peer);
}

struct stream *stream_new(struct carrier *c, struct request *r) {
  struct stream *s = slab_take(&c->service->slab, sizeof *s);
  *s = (struct stream){
      .carrier = c, .request = r, .timer = {.on_fire = on_timer}, .opened_at = c->service->loop->now};
  event_queue_init(&s->queue);
  list_init(&s->link);
  mark_proxied(c, r);
  counter_add(&c->service->counters.requests_total, 1);
  return s;
}

static void stream_free_gzip(struct stream *s) {
  if (!s->is_gzip) return;
  gzip_deinit(s->gzip);
  free(s->gzip);
  s->is_gzip = false;
}

void stream_free(struct stream *s, enum close_reason reason) {
  struct service *service = stream_service(s);
  list_remove(&s->link);
  loop_disarm(service->loop, &s->timer);
  if (s->is_sse)
    counter_add(&service->counters.streams_open, -1), counter_add(&service->counters.closed_total[reason], 1);
  access_closed(s, reason);
  if (service->ops->on_end) service->ops->on_end(s, reason);
  if (s->ops) s->ops->on_gone(s, reason);
  if (s->source) s->source->ops->free(s->source);
  tags_free(s);
  file_body_free(s->file);
  stream_free_gzip(s);
  event_queue_deinit(&s->queue);
  event_unref(s->comment);
  buf_deinit(&s->body);
  request_free(s->request);
  slab_free(&service->slab, s, sizeof *s);
}

void stream_enqueue(struct stream *s, struct event *e) {
  event_queue_push(&s->queue, s->framing, e);
  stream_touch(s);
}

void stream_send(struct stream *s, struct event *e) {
  if (s->state != STREAM_OPEN) {
    event_unref(e);
    return;
  }
  s->last_sent = stream_service(s)->loop->now;
  if (s->events_out < UINT32_MAX) s->events_out++;
  counter_add(&stream_service(s)->counters.events_total, 1);
  stream_enqueue(s, e);
}

bool stream_is_full(struct stream *s) {
  const struct settings *set = stream_service(s)->settings;
  if (s->queue.bytes > set->limits.queue_high || s->queue.count > set->limits.queue_events) s->full = true;
  return s->full;
}

size_t stream_waiting(const struct stream *s) { return event_queue_waiting(&s->queue, s->framing); }

bool stream_drop_oldest(struct stream *s) { return event_queue_drop_oldest(&s->queue, s->framing); }

bool stream_conflate(struct stream *s, const struct event *e) {
  return event_queue_conflate(&s->queue, s->framing, e);
}

// What is next of a file: as a part that the transport sends by itself, or as an event like any other.
static void take_file(struct stream *s, struct outq *out) {
  bool as_part = s->carrier->ops->takes_files(s->carrier) && !out->count && s->framing == FRAMING_LENGTH;
  struct event *e = NULL;
  if (as_part ? file_body_take(s->file, out) : (e = file_body_event(s->file)) != NULL) out->is_share = true;
  else if (!file_body_in_flight(s->file)) s->is_short = true;
  if (e) event_queue_push(&s->queue, s->framing, e);
}

struct stream_former {
  struct former former;
  struct stream *stream;
};

// Of a compressed body.
static struct event *form_event(struct former *f, struct event *e) {
  struct stream *s = container_of(f, struct stream_former, former)->stream;
  struct service *service = stream_service(s);
  counter_add(&service->counters.compressed_bytes_in_total, (int64_t)event_bare_len(e));
  struct event *form;
  if (e == service->gzip_end) form = gzip_end(s->gzip), event_unref(e);
  else form = gzip_form(s->gzip, e, &service->gzip, service->loop->now);
  counter_add(&service->counters.compressed_bytes_out_total, (int64_t)event_bare_len(form));
  return form;
}

size_t stream_take(struct stream *s, size_t max, struct outq *out) {
  size_t before = out->len;
  if (s->file && !s->queue.count && !s->is_short) take_file(s, out);
  struct stream_former former = {.former = {.form = form_event}, .stream = s};
  if (s->queue.count) event_queue_take(&s->queue, s->framing, max, out, s->is_gzip ? &former.former : NULL);
  out->has_more |= s->file != NULL;
  out->is_last =
      s->state == STREAM_ENDED && !(s->cut | s->is_short) && !s->file && s->queue.bytes == s->queue.in_flight;
  return out->len - before;
}

static void set_mark(struct stream *s) {
  s->marked_at = stream_service(s)->loop->now;
  s->marked_left = s->queue.count + (s->file != NULL), s->marked_len = 0;
}

static void count_wait(const struct stream *s) {
  struct service *service = stream_service(s);
  histogram_add_seconds(&service->counters.waits, service->loop->now - s->marked_at);
}

// A client that takes a byte now and then is as good as none: of what waits at a mark it is to take all
// within timeouts.send, or a fair part.
static void move_mark(struct stream *s, uint32_t events, size_t bytes) {
  bool is_fair = (double)s->marked_len + (double)bytes >= stream_service(s)->limits.fair_part;
  s->marked_left -= MIN(s->marked_left, events);
  if (!s->marked_left) count_wait(s);
  if (!s->marked_left || is_fair) set_mark(s);
  else s->marked_len += (uint32_t)bytes;
}

void stream_left(struct stream *s, size_t len) {
  uint32_t events = s->queue.count;
  s->bytes_out += len;
  counter_add(&stream_service(s)->counters.bytes_total, (int64_t)len);
  size_t of_queue = event_queue_leave(&s->queue, s->framing, len);
  if (len > of_queue) file_body_leave(s->file, len - of_queue);
  if (s->file && !file_body_left(s->file)) file_body_free(s->file), s->file = NULL;
  if (s->blocked) move_mark(s, events - s->queue.count, len);
}

static void set_blocked(struct stream *s, bool blocked) {
  if (s->blocked == blocked) return;
  s->blocked = blocked;
  if (!blocked) return;
  histogram_add_bytes(&stream_service(s)->counters.unsent, s->queue.bytes);
  set_mark(s);
  stream_watch(s);
}

void stream_spare(struct stream *s) {
  if (!s->blocked) return;
  set_mark(s);
  stream_watch(s);
}

bool stream_settle(struct stream *s, bool waits) {
  const struct settings *set = stream_service(s)->settings;
  bool has_more = s->queue.count || s->file;
  set_blocked(s, waits && has_more);
  if (s->full && s->queue.bytes <= set->limits.queue_low && s->queue.count <= set->limits.queue_events / 2) {
    s->full = false;
    if (s->ops) s->ops->on_drain(s);
    if (s->source && s->source->ops->drain) s->source->ops->drain(s->source);
  }
  return !has_more;
}

void stream_keep_alive(struct stream *s, double interval, struct event *comment) {
  event_unref(s->comment);
  s->comment = comment, s->keep_alive = (float)interval;
  stream_watch(s);
}

void stream_end(struct stream *s, enum close_reason reason, bool cut) {
  if (s->state != STREAM_OPEN) return;
  cut |= s->framing == FRAMING_LENGTH && s->length_left; // what was announced will not come
  s->state = STREAM_ENDED, s->reason = (uint8_t)reason, s->cut = cut;
  if (s->source) s->source->ops->stop(s->source);
  if (s->is_gzip && !cut) stream_enqueue(s, event_ref(stream_service(s)->gzip_end));
  if (s->framing == FRAMING_CHUNKED && !cut) stream_enqueue(s, event_ref(stream_service(s)->last_chunk));
  stream_touch(s);
}

void stream_leave(struct stream *s, double after, enum close_reason reason) {
  if (s->state != STREAM_OPEN) return;
  double at = MIN(stream_service(s)->loop->now + after, end_of(s));
  if (s->leaving) at = MIN(at, s->timer.deadline); // who asks again does not put it off
  s->leaving = true, s->reason = (uint8_t)reason;
  loop_arm(stream_service(s)->loop, &s->timer, at);
}

bool stream_kick(struct stream *s, struct event *last) {
  double now = stream_service(s)->loop->now;
  bool is_there = s->state != STREAM_ENDED;
  if (s->kicked) return false;
  s->kicked = true;
  if (s->state == STREAM_WAITING) {
    stream_end_at(s, now);
    return true;
  }
  s->last_sent = now;
  if (is_there && s->is_sse) stream_send(s, event_ref(last));
  if (is_there) end_or_cut(s, REASON_KICKED);
  s->leaving = false;
  stream_watch(s);
  return is_there;
}

void stream_end_at(struct stream *s, double deadline) {
  float lifetime = (float)MAX(deadline - s->opened_at, 1e-3);
  if (s->lifetime > 0 && s->lifetime <= lifetime) return;
  s->lifetime = lifetime;
  stream_watch(s);
}
