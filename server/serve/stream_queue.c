// SPDX-License-Identifier: MIT
// The way out: a queue of references to immutable bytes, written by one writev per turn. Whoever produces may
// go on until stream_is_full and then waits for on_drain, so a client that reads slowly costs its queue and
// no more.
#include "serve/stream_queue.h"
#include <stdlib.h>
#include <sys/uio.h>
#include "base/mem.h"
#include "serve/access.h"
#include "serve/file_body.h"

enum { IOV_MAX_PER_WRITE = 256 };
static const double SLOWEST = 512; // bytes per second that a client is to take while more wait

// The bytes of an event that this stream sends: with the chunk's frame, or bare.
static struct iovec slice_of(const struct stream *s, struct event *e) {
  if (s->framing == FRAMING_CHUNKED) return (struct iovec){e->bytes, e->len};
  return (struct iovec){e->bytes + e->bare_at, event_bare_len(e)};
}

void stream_touch(struct stream *s) {
  if (list_empty(&s->dirty) && !s->blocked) list_append(&stream_service(s)->dirty, &s->dirty);
}

static void enqueue(struct stream *s, struct event *e) {
  if (s->queue_count == s->queue_cap) {
    s->queue_cap *= 2;
    struct event **old = s->queue == s->few ? NULL : s->queue;
    s->queue = xrealloc(old, s->queue_cap * sizeof *s->queue);
    if (!old) memcpy(s->queue, s->few, sizeof s->few);
  }
  s->queue[s->queue_count++] = e;
  s->queued_bytes += slice_of(s, e).iov_len;
  stream_touch(s);
}

void stream_enqueue(struct stream *s, struct event *e) { enqueue(s, e); }

void stream_drop_queue(struct stream *s) {
  for (uint32_t i = 0; i < s->queue_count; i++) event_unref(s->queue[i]);
  if (s->queue != s->few) free(s->queue);
  s->queue_count = 0;
}

void stream_send(struct stream *s, struct event *e) {
  if (s->state != STREAM_OPEN) {
    event_unref(e);
    return;
  }
  s->last_sent = stream_service(s)->loop->now;
  if (s->events_out < UINT32_MAX) s->events_out++;
  counter_add(&stream_service(s)->counters.events_total, 1);
  enqueue(s, e);
}

bool stream_is_full(struct stream *s) {
  const struct settings *set = stream_service(s)->settings;
  if (s->queued_bytes > set->limits.queue_high || s->queue_count > set->limits.queue_events) s->full = true;
  return s->full;
}

// The first event of which nothing has been sent.
static uint32_t first_whole(const struct stream *s) { return s->head_sent ? 1 : 0; }

static void take_out(struct stream *s, uint32_t at) {
  s->queued_bytes -= slice_of(s, s->queue[at]).iov_len;
  event_unref(s->queue[at]);
  s->queue_count--;
  if (at < s->marked_left) s->marked_left--;
  memmove(s->queue + at, s->queue + at + 1, (s->queue_count - at) * sizeof *s->queue);
}

bool stream_drop_oldest(struct stream *s) {
  for (uint32_t i = first_whole(s); i < s->queue_count; i++) {
    if (!s->queue[i]->seq) continue; // the head, a comment
    take_out(s, i);
    return true;
  }
  return false;
}

bool stream_conflate(struct stream *s, const struct event *e) {
  for (uint32_t i = s->queue_count; i-- > first_whole(s);) {
    if (!s->queue[i]->seq || s->queue[i]->key != e->key) continue;
    take_out(s, i);
    return true;
  }
  return false;
}

static int gather(const struct stream *s, struct iovec iov[IOV_MAX_PER_WRITE]) {
  int n = 0;
  for (uint32_t i = 0; i < s->queue_count && n < IOV_MAX_PER_WRITE; i++) iov[n++] = slice_of(s, s->queue[i]);
  iov[0].iov_base = (char *)iov[0].iov_base + s->head_sent;
  iov[0].iov_len -= s->head_sent;
  return n;
}

static void set_mark(struct stream *s) {
  s->marked_at = stream_service(s)->loop->now;
  s->marked_left = s->queue_count + (s->file != NULL), s->marked_len = 0;
}

// A client that takes a byte now and then is as good as none: of what waits at a mark it is to take all
// within timeouts.send, or a fair part.
static void move_mark(struct stream *s, uint32_t events, size_t bytes) {
  s->marked_left -= MIN(s->marked_left, events);
  s->marked_len += (uint32_t)MIN(bytes, (size_t)1 << 30);
  if (!s->marked_left || s->marked_len >= SLOWEST * stream_service(s)->settings->timeouts.send) set_mark(s);
}

static void count_taken(struct stream *s, size_t bytes) {
  s->bytes_out += bytes;
  s->conn->still_turns = 0;
  counter_add(&stream_service(s)->counters.bytes_total, (int64_t)bytes);
}

// Lets go of what the client has taken. The array itself goes back with the last event of a burst.
static void consume(struct stream *s, size_t taken) {
  uint32_t gone = 0;
  size_t bytes = taken;
  s->queued_bytes -= taken;
  count_taken(s, taken);
  taken += s->head_sent;
  while (gone < s->queue_count && taken >= slice_of(s, s->queue[gone]).iov_len) {
    taken -= slice_of(s, s->queue[gone]).iov_len;
    event_unref(s->queue[gone++]);
  }
  s->head_sent = taken;
  s->queue_count -= gone;
  if (s->blocked) move_mark(s, gone, bytes);
  memmove(s->queue, s->queue + gone, s->queue_count * sizeof *s->queue);
  if (s->queue_count || s->queue == s->few) return;
  free(s->queue);
  s->queue = s->few, s->queue_cap = countof(s->few);
}

static void set_blocked(struct stream *s, bool blocked) {
  if (s->blocked == blocked) return;
  s->blocked = blocked;
  if (blocked) set_mark(s);
  conn_want_write(s->conn, blocked);
  if (blocked) stream_watch(s);
}

// False where that was the end of it.
static bool on_written(struct stream *s) {
  const struct settings *set = stream_service(s)->settings;
  if (s->full && s->queued_bytes <= set->limits.queue_low && s->queue_count <= set->limits.queue_events / 2) {
    s->full = false;
    if (s->ops) s->ops->on_drain(s);
  }
  bool is_done = s->state == STREAM_ENDED && !s->queue_count && !s->file;
  if (is_done) conn_stream_done(s->conn);
  else if (s->state == STREAM_OPEN && !s->queue_count) return conn_stream_is_still(s->conn);
  return !is_done;
}

static void cut_file(struct stream *s) {
  access_file_short(s);
  conn_close(s->conn, REASON_ERROR, true);
}

// Sends on a file, whatever stood before it being gone. False where the stream is gone.
static bool flush_file(struct stream *s) {
  size_t taken;
  enum file_progress progress = file_body_send(s->file, s->conn, &taken);
  count_taken(s, taken);
  if (s->blocked && taken) move_mark(s, 0, taken);
  switch (progress) {
  case FILE_ALL_SENT: file_body_free(s->file), s->file = NULL; break;
  case FILE_MORE:
    if (list_empty(&s->dirty)) list_append(&stream_service(s)->dirty, &s->dirty);
    break;
  case FILE_BLOCKED: break;
  case FILE_SHORT: return cut_file(s), false;
  case FILE_GONE: return conn_close(s->conn, REASON_CLIENT_CLOSED, false), false;
  }
  set_blocked(s, progress == FILE_BLOCKED);
  return on_written(s);
}

bool stream_flush(struct stream *s) {
  struct iovec iov[IOV_MAX_PER_WRITE];
  while (s->queue_count) {
    int n = gather(s, iov);
    size_t offered = 0;
    for (int i = 0; i < n; i++) offered += iov[i].iov_len;
    ssize_t taken = conn_writev(s->conn, iov, n);
    if (taken == IO_ERROR) {
      conn_close(s->conn, REASON_CLIENT_CLOSED, false);
      return false;
    }
    if (taken > 0) consume(s, (size_t)taken);
    if (taken < (ssize_t)offered) {
      set_blocked(s, true);
      return on_written(s);
    }
  }
  if (s->file) return flush_file(s);
  set_blocked(s, false);
  return on_written(s);
}
