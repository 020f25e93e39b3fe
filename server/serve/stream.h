// SPDX-License-Identifier: MIT
// One exchange: a request and what flows out in answer to it. It knows no socket and no connection, only what
// carries it. Its user, above, is told exactly once by on_gone, and must not touch it afterwards. Worker
// thread only.
#pragma once
#include "base/buf.h"
#include "http/request.h"
#include "loop/timer.h"
#include "serve/close_reason.h"
#include "serve/event_queue.h"
#include "serve/service.h"

struct carrier;
struct file_body;
struct stream;
struct stream_source;
struct tagging;

// What a connection does for its streams.
struct carrier_ops {
  // The stream has more: what waits is written at the end of this turn, where it is not the client that it
  // waits for.
  void (*touch)(struct carrier *c, struct stream *s);
  bool (*flush)(struct carrier *c, const struct stream *s); // now; false where the stream is gone
  // Begins an answer: chooses the framing, and writes to `out` what goes before the body.
  void (*answer)(struct carrier *c, struct stream *s, struct response *r, struct buf *out);
  void (*interim)(struct carrier *c, struct stream *s, int status, struct buf *out);
  void (*opened)(struct carrier *c, struct stream *s);     // its head is out, and its body is to follow
  void (*read_on)(struct carrier *c, struct stream *s);    // more of the body may come than before
  void (*body_asked)(struct carrier *c, struct stream *s); // the same, and the client's time for it counts
  bool (*limit_body)(struct carrier *c, struct stream *s, uint64_t max); // false: more has been announced
  bool (*describe_tls)(struct carrier *c, struct buf *out);              // as transport_tls_describe
  bool (*takes_files)(struct carrier *c);                                // as they are; else only memory
  // Which stream has to go where this one's client takes nothing: it may be another that holds it up. NULL:
  // none, as the client takes what others have, and this one waits for them; it then has its time anew.
  struct stream *(*hoarder)(struct carrier *c, struct stream *s);
  double (*waits_since)(struct carrier *c, struct stream *s); // of one that is blocked, whatever its time
  void (*late)(struct carrier *c, struct stream *s);          // its body has not come in time
  // Ends the stream at once, and frees it; where the protocol has no other way, the connection with it.
  void (*give_up)(struct carrier *c, struct stream *s, enum close_reason reason);
};

struct carrier {
  const struct carrier_ops *ops;
  struct service *service;
  const struct address *peer;
};

// How its user reads the request's body.
enum body_reading {
  BODY_UNREAD,   // not, so far
  BODY_WHOLE,    // once it is complete
  BODY_IN_PIECES // as it comes
};

enum { BODY_WINDOW = LOOP_SCRATCH_LEN }; // bytes that may come before they are asked for

struct stream_ops {
  void (*on_body)(struct stream *s);  // the body is complete, or more of it is there for who reads pieces
  void (*on_drain)(struct stream *s); // the queue is below the low-water mark again
  void (*on_gone)(struct stream *s, enum close_reason reason);
};

// Something that a stream is served from, and that goes with it.
struct stream_source_ops {
  void (*stop)(struct stream_source *source); // the stream has ended: it takes nothing more
  void (*free)(struct stream_source *source);
  void (*drain)(struct stream_source *source); // as stream_ops.on_drain; NULL: it does not wait for that
  bool is_elsewhere;                           // what it sends comes from another host
};

struct stream_source {
  const struct stream_source_ops *ops;
};

enum stream_state {
  STREAM_WAITING, // for the answer
  STREAM_OPEN,    // head sent, more may follow
  STREAM_ENDED    // all is queued
};

// What each event touches comes first, and fits two cache lines: the slab has it begin with one.
struct stream {
  struct list link; // in its connection
  struct carrier *carrier;
  struct event_queue queue;
  uint8_t state, framing, reading; // enum stream_state, enum framing, enum body_reading
  uint8_t reason;                  // why it ended, or is to end
  uint16_t status;
  bool is_announced : 1; // to the layer above
  bool is_sse : 1, body_done : 1, cut : 1, full : 1, leaving : 1;
  bool blocked : 1;      // some of what waits did not leave when it could have
  bool is_live : 1;      // what is sent is wanted at once: the kernel is to keep little of it, as of events
  bool is_short : 1;     // the file has less than was announced
  bool is_reset : 1;     // the client wants no more of it
  bool is_too_large : 1; // its body has more bytes than are allowed
  bool times_body : 1;   // it has times for its body of its own, while it waits for it
  bool is_gzip : 1;      // its body is compressed
  bool kicked : 1;       // what is left has KICK_SECONDS to leave
  uint32_t events_out;
  unsigned generation; // of the code that answered
  union {
    double last_sent;  // of an open answer
    double body_moved; // where times_body, before there is one: when some of it came last
  };
  uint64_t bytes_out;
  struct file_body *file; // what is left of the answer behind the queue; NULL: nothing
  struct request *request;
  const struct stream_ops *ops;
  void *owner;                  // the user's
  struct stream_source *source; // NULL: none
  struct tagging *tags;         // by which it is found; NULL: none
  float keep_alive;             // seconds between comments; 0: none
  float lifetime;               // seconds from opened_at; 0: no time is set
  struct event *comment;        // what keeps it alive
  struct timer timer;           // keep-alive, stall, drain
  double opened_at;
  union {
    double marked_at;     // while blocked, all that waited at this time ...
    double body_deadline; // where times_body
  };
  union {
    struct {
      uint32_t marked_left, marked_len; // ... is so many events, and the bytes taken since
    };
    uint32_t body_gained; // where times_body: since its deadline was set
  };
  struct buf body; // what has come of it and is not taken
  union {
    uint64_t length_left; // of an open answer with FRAMING_LENGTH
    struct gzip *gzip;    // where is_gzip
  };
};

_Static_assert(offsetof(struct stream, request) <= 120, "what each event touches");
_Static_assert(sizeof(struct stream) == 256 || sizeof(void *) < 8,
               "kept by every stream, in whole cache lines");

static inline struct service *stream_service(const struct stream *s) { return s->carrier->service; }

// For what carries it: a stream for a request (taken), and its end: tells the user and frees it.
struct stream *stream_new(struct carrier *c, struct request *r);
void stream_free(struct stream *s, enum close_reason reason);

// For what carries it: proto_sink.take and on_left.
size_t stream_take(struct stream *s, size_t max, struct outq *out);
void stream_left(struct stream *s, size_t len);

// For what carries it, once all is written that could be; `waits`: what is left waits for the client. What
// follows from that: room is told of; whether the stream has nothing more to write.
bool stream_settle(struct stream *s, bool waits);

// Queues an event (takes the reference) for the end of this turn; it goes nowhere where the stream has ended.
void stream_send(struct stream *s, struct event *e);

// The same of bytes that are no event, whatever its state.
void stream_enqueue(struct stream *s, struct event *e);

// Sends a comment after each `interval` seconds without an event; takes the reference to `comment`.
void stream_keep_alive(struct stream *s, double interval, struct event *comment);

// Arms the timer where something could be due before it fires.
void stream_watch(struct stream *s);

// True above the high-water mark: the producer should wait for on_drain.
bool stream_is_full(struct stream *s);

// Ends the body: cleanly, or `cut` so that the client can tell it from an end. The user hears of it by
// on_gone.
void stream_end(struct stream *s, enum close_reason reason, bool cut);

// Ends an open stream `after` seconds from now: one of events with a jittered `retry:` and a clean end, any
// other is cut.
void stream_leave(struct stream *s, double after, enum close_reason reason);

// Ends it now, behind what waits: an event stream with this event (borrowed), which says so, any other is
// cut. One that has not begun ends as soon as it is an event stream; an answer that is none goes out in full.
// A client that has not taken all five seconds later is cut, and counts as kicked. False where it was over.
bool stream_kick(struct stream *s, struct event *last);

// Ends it cleanly at this time, or at the one set before where that is earlier, as soon as it is an event
// stream; an answer that is none goes out in full.
void stream_end_at(struct stream *s, double deadline);

// Writes what is queued. False where the stream is gone afterwards.
bool stream_flush(struct stream *s);

// Ends the stream of a client that is too far behind, and counts it as slow, unless it has been kicked.
void stream_give_up(struct stream *s);

// Ends it at once, as what follows is lost, through no fault of its client's.
void stream_break(struct stream *s);

// Cuts the stream, behind what its client can still take, as its producer has lost what follows.
void stream_fall_behind(struct stream *s);

// How many events wait in the queue of which the transport has nothing yet.
size_t stream_waiting(const struct stream *s);

// Takes out of the queue, where nothing of it is sent, a channel's oldest event, or the one with this one's
// key. False where there is none.
bool stream_drop_oldest(struct stream *s);
bool stream_conflate(struct stream *s, const struct event *e);

// Answers with a complete response. `fields` without framing fields, Date and Connection. A `body` without
// bytes (NULL) is an empty one, but HEAD is told no length: that of GET is not known (RFC 9110 8.6).
void stream_reply(struct stream *s, int status, const struct field *fields, size_t count, struct span body);

// The same with a body (taken) out of a file.
void stream_reply_file(struct stream *s, int status, const struct field *fields, size_t count,
                       struct file_body *body);

// Has the body of the event stream that it is to open compressed: of a channel's events, which many may get,
// or with a window of its own. The caller says so in the head.
void stream_compress(struct stream *s, bool is_own);

// Sends the head of a response whose body follows in events; of an event stream where `is_sse`.
void stream_open(struct stream *s, int status, const struct field *fields, size_t count, bool is_sse);

// The same for a body of other bytes, of which there are `length` (< 0: not known).
void stream_open_raw(struct stream *s, int status, const struct field *fields, size_t count, int64_t length);

// Queues a copy of bytes of that body for the end of this turn; no more than were announced.
void stream_write(struct stream *s, struct span bytes);

// Asks for the body; the first to ask decides how and how much of it. Sends the interim 100 where the client
// waits for it (RFC 9110 10.1.1). False where the body is refused, by 413 above `max` bytes, by 415 where it
// is encoded; then, as when it grows too large later, the user is told by on_gone.
bool stream_want_body(struct stream *s, enum body_reading how, uint64_t max);

// What is there of the body has been taken: more may come.
void stream_body_taken(struct stream *s);

// How many bytes of the body may come now: it is dropped, limited otherwise, or waits in its window.
static inline size_t stream_body_room(const struct stream *s) {
  if (s->state != STREAM_WAITING || s->reading == BODY_WHOLE) return SIZE_MAX;
  return s->body.len < BODY_WINDOW ? BODY_WINDOW - s->body.len : 0;
}

// A client that waits to be asked for its body, or for room, is not late.
static inline bool stream_body_is_due(const struct stream *s) {
  bool is_asked_for = !s->request->expect_continue || s->reading || s->body.len;
  return is_asked_for && stream_body_room(s);
}

// For what carries many: the body's time counts from now, or from `at`; so many bytes of it have come.
void stream_time_body(struct stream *s);
void stream_time_body_from(struct stream *s, double at);
void stream_body_came(struct stream *s, size_t len);

// Its client is given anew the time that it has to take something.
void stream_spare(struct stream *s);

// Answers a request whose body is not taken; whoever works on it is told first that the stream is gone.
void stream_refuse_body(struct stream *s, struct refusal r);

#define TOO_LARGE REFUSED_BY(LIMIT_BODY, 413, "request body too large")
