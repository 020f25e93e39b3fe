// SPDX-License-Identifier: MIT
// The events of another server's answer on their way: into a stream, wholly in C, or into a queue that a task
// reads. Worker thread only.
#pragma once
#include "client/fetch.h"
#include "event/sse_parser.h"
#include "serve/stream.h"

enum event_source_state {
  SOURCE_QUEUED,   // events wait in its queue for a task that reads it, or for a stream
  SOURCE_STREAMED, // they go into its stream, which owns it
  SOURCE_LENT,     // they go into a stream while its reader waits for the end
  SOURCE_ENDED     // what waits is the rest
};

// Who reads it, for as long as it waits for news.
struct event_source_reader {
  void (*on_news)(
      struct event_source_reader *r); // the queue has something, or the state has changed; only links
};

struct event_source {
  struct stream_source source; // of a stream
  struct fetch_sink sink;
  struct fetch *fetch; // its own; NULL once it has let go of the other server
  struct service *service;
  struct sse_parser parser;
  struct stream *stream; // while it has one
  struct list queue;
  size_t count, bytes;                // of the events in it
  struct event_source_reader *reader; // told of the next news, once; NULL: nobody waits
  enum event_source_state state;
  enum fetch_error error; // why it has ended; FETCH_OK: as an answer ends, or it was let go of
  char *message;          // of an error: what happened, for people
};

// Takes a fetch whose answer has begun, with what has come of its body (borrowed). `last_id` is what an
// earlier connection has left.
struct event_source *event_source_new(struct service *service, struct fetch *f, struct span body,
                                      struct span last_id);

// Ends it, and the connection to the other server; a reader is told. NULL is allowed.
void event_source_free(struct event_source *u);

// The same, but what waits in the queue can still be read.
void event_source_close(struct event_source *u);

// Sends what waits and all that follows into an open stream, which takes it, and ends it as the answer ends:
// cut where that is.
void event_source_attach(struct event_source *u, struct stream *s);

// The same for a while: the stream is not its owner and stays open, and `reader` is told of the end of one of
// both.
void event_source_lend(struct event_source *u, struct stream *s, struct event_source_reader *reader);

// A reader has all there is and is told of what comes next. It lives until then, until event_source_free, or
// until another takes its place; NULL: nobody waits any more.
void event_source_await(struct event_source *u, struct event_source_reader *reader);

// The next event: borrowed, or as a reference for the caller; NULL where none waits.
struct event *event_source_peek(const struct event_source *u);
struct event *event_source_take(struct event_source *u);
