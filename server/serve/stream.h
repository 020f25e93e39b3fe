// SPDX-License-Identifier: MIT
// One exchange: a request and what flows out in answer to it. The connection owns it; its user, above, is
// told exactly once by on_gone, and must not touch it afterwards. Worker thread only.
#pragma once
#include "base/buf.h"
#include "event/event.h"
#include "http/request.h"
#include "loop/timer.h"
#include "serve/service.h"

struct feed;
struct file_body;

enum close_reason {
  REASON_FINISHED,
  REASON_CLIENT_CLOSED,
  REASON_ERROR,
  REASON_TIMEOUT,
  REASON_SLOW_CONSUMER,
  REASON_SHUTDOWN,
  REASON_RELOAD
};

// "client_closed" and so on, static.
const char *close_reason_name(enum close_reason r);

// How its user reads the request's body.
enum body_reading {
  BODY_UNREAD,   // not, so far
  BODY_WHOLE,    // once it is complete
  BODY_IN_PIECES // as it comes
};

enum { BODY_WINDOW = SCRATCH_LEN }; // bytes that may come before they are asked for

struct stream_ops {
  void (*on_body)(struct stream *s);  // the body is complete, or more of it is there for who reads pieces
  void (*on_drain)(struct stream *s); // the queue is below the low-water mark again
  void (*on_gone)(struct stream *s, enum close_reason reason);
};

enum stream_state {
  STREAM_WAITING, // for the answer
  STREAM_OPEN,    // head sent, more may follow
  STREAM_ENDED    // all is queued
};

struct stream {
  struct conn *conn;
  struct request *request;
  const struct stream_ops *ops;
  void *owner;            // the user's
  struct feed *feed;      // a subscription that it is served from; NULL: none
  struct file_body *file; // what is left of the answer behind the queue; NULL: nothing
  struct list dirty;      // in service.dirty or service.late
  struct event **queue;   // `few`, or allocated where more wait
  struct event *few[2];
  uint32_t queue_count, queue_cap;
  size_t head_sent; // bytes of queue[0] that are gone
  size_t queued_bytes;
  uint8_t state, framing;
  bool is_sse, body_done, cut, blocked, full, leaving;
  uint8_t reading;  // enum body_reading
  bool is_reusable; // what the head said of the connection
  uint16_t status;
  uint8_t reason;        // why it ended, once ENDED
  uint8_t leave_reason;  // why it is to end
  unsigned generation;   // of the code that answered
  float keep_alive;      // seconds between comments; 0: none
  struct event *comment; // what keeps it alive
  struct timer timer;    // keep-alive, stall, drain
  double opened_at, last_sent;
  double marked_at;                 // while blocked, all that waited at this time ...
  uint32_t marked_left, marked_len; // ... is so many events, and the bytes taken since
  struct buf body;                  // what has come of it and is not taken
  uint64_t length_left;             // of an open answer with FRAMING_LENGTH
  uint64_t bytes_out;
  uint32_t events_out;
  float lifetime; // seconds from opened_at; 0: no time is set
};

// For the connection: a stream for a request (taken), and its end: tells the user and frees it.
struct stream *stream_new(struct conn *c, struct request *r);
void stream_free(struct stream *s, enum close_reason reason);

// Answers with a complete response. `fields` without framing fields, Date and Connection. A `body` without
// bytes (NULL) is an empty one, but HEAD is told no length: that of GET is not known (RFC 9110 8.6).
void stream_reply(struct stream *s, int status, const struct field *fields, size_t count, struct span body);

// The same with a body (taken) out of a file.
void stream_reply_file(struct stream *s, int status, const struct field *fields, size_t count,
                       struct file_body *body);

// Sends the head of a response whose body follows in events; of an event stream where `is_sse`.
void stream_open(struct stream *s, int status, const struct field *fields, size_t count, bool is_sse);

// The same for a body of other bytes, of which there are `length` (< 0: not known).
void stream_open_raw(struct stream *s, int status, const struct field *fields, size_t count, int64_t length);

// Queues a copy of bytes of that body for the end of this turn; no more than were announced.
void stream_write(struct stream *s, struct span bytes);

// Sends a comment after each `interval` seconds without an event; takes the reference to `comment`.
void stream_keep_alive(struct stream *s, double interval, struct event *comment);

// Queues an event (takes the reference) for the end of this turn; it goes nowhere where the stream has ended.
void stream_send(struct stream *s, struct event *e);

// True above the high-water mark: the producer should wait for on_drain.
bool stream_is_full(struct stream *s);

// Ends the body: cleanly, or `cut` so that the client can tell it from an end. The user hears of it by
// on_gone.
void stream_end(struct stream *s, enum close_reason reason, bool cut);

// Asks for the body; the first to ask decides how and how much of it. Sends the interim 100 where the client
// waits for it (RFC 9110 10.1.1). False where the body is refused, by 413 above `max` bytes, by 415 where it
// is encoded; then, as when it grows too large later, the user is told by on_gone.
bool stream_want_body(struct stream *s, enum body_reading how, uint64_t max);

// Sends the interim 100.
void stream_continue(struct stream *s);

// What is there of the body has been taken: more may come.
void stream_body_taken(struct stream *s);

// How many bytes of the body may come now.
size_t stream_body_room(const struct stream *s);

// Ends an open stream `after` seconds from now: one of events with a jittered `retry:` and a clean end, any
// other is cut.
void stream_leave(struct stream *s, double after, enum close_reason reason);

// Ends it cleanly at this time, or at the one set before where that is earlier, as soon as it is an event
// stream; an answer that is none goes out in full.
void stream_end_at(struct stream *s, double deadline);

// Has it flushed at the end of this turn.
void stream_touch(struct stream *s);

// Writes what is queued. False where the stream is gone afterwards.
bool stream_flush(struct stream *s);

// Cuts the connection of a client that is too far behind, and counts it.
void stream_give_up(struct stream *s);

// Cuts the stream, behind what its client can still take, as its producer has lost what follows.
void stream_fall_behind(struct stream *s);

// Takes out of the queue, where nothing of it is sent, a channel's oldest event, or the one with this one's
// key. False where there is none.
bool stream_drop_oldest(struct stream *s);
bool stream_conflate(struct stream *s, const struct event *e);
